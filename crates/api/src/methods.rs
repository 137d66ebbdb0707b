//! The methods of all services.

use crate::proto::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// A method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// `package.Service/Method`.
    pub name: String,
    /// Whether the caller sends a stream of messages.
    pub is_request_streamed: bool,
    /// Whether the answer is a stream of messages.
    pub is_answer_streamed: bool,
}

/// Every method that the server has, as the interface describes it.
///
/// # Panics
/// Never: the descriptors are made with this crate.
pub fn methods() -> Vec<Method> {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("descriptors of our own").file;
    let mut all = Vec::new();
    for file in &files {
        for service in &file.service {
            all.extend(service.method.iter().map(|method| Method {
                name: format!("{}.{}/{}", file.package(), service.name(), method.name()),
                is_request_streamed: method.client_streaming(),
                is_answer_streamed: method.server_streaming(),
            }));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_have_their_names_and_shapes() {
        let all = methods();
        let shape = |name: &str| {
            let method = all.iter().find(|method| method.name == name).unwrap();
            (method.is_request_streamed, method.is_answer_streamed)
        };
        assert_eq!(shape("tyto.matching.v1.MatchingService/Verify"), (false, false));
        assert_eq!(shape("tyto.matching.v1.MatchingService/Identify"), (false, true));
        assert_eq!(shape("tyto.gallery.v1.GalleryService/Provision"), (true, false));
        assert_eq!(shape("tyto.gallery.v1.GalleryService/Enrol"), (true, true));
    }
}
