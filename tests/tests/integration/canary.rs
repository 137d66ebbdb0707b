//! A marked template is enrolled and probed; its bytes are nowhere in the server: not in its memory, its files or its
//! logs.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use tyto_client::{IdentifyOptions, ProbeBy, VerifyOptions};
use tyto_tests::Rng;
use tyto_tests::process::ServerProcess;
use tyto_tests::rig::{connect, gallery, subject};

/// Every way in which the template might lie in memory: floats, and quantised at every width and in both the plain and
/// the residue form.
fn needles(vector: &[f32], quantised: &[i16]) -> Vec<(&'static str, Vec<u8>)> {
    let residues: Vec<u16> = quantised.iter().map(|&v| v.rem_euclid(2039) as u16).collect();
    // Sixteen coordinates are mark enough and cannot occur by chance.
    let part = 40..56;
    vec![
        ("f32", vector[part.clone()].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("f64", vector[part.clone()].iter().flat_map(|&v| f64::from(v).to_le_bytes()).collect()),
        ("i8", quantised[part.clone()].iter().map(|&v| v as u8).collect()),
        ("i16", quantised[part.clone()].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("i32", quantised[part.clone()].iter().flat_map(|&v| i32::from(v).to_le_bytes()).collect()),
        ("i64", quantised[part.clone()].iter().flat_map(|&v| i64::from(v).to_le_bytes()).collect()),
        ("residues u16", residues[part.clone()].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("residues u64", residues[part].iter().flat_map(|&v| u64::from(v).to_le_bytes()).collect()),
    ]
}

fn search(place: &str, haystack: &[u8], needles: &[(&'static str, Vec<u8>)]) {
    for (form, needle) in needles {
        let first = needle[0];
        let found =
            haystack.windows(needle.len()).any(|window| window[0] == first && window == needle.as_slice());
        assert!(!found, "the template was found as {form} in {place}");
    }
}

/// All readable memory of a process, region by region.
fn search_memory(pid: u32, needles: &[(&'static str, Vec<u8>)]) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("the memory map");
    let mut memory = fs::File::open(format!("/proc/{pid}/mem")).expect("the memory");
    let mut searched = 0;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, mode) = (fields.next().expect("a range"), fields.next().expect("a mode"));
        // Code and read-only files of the binary are not written by the server.
        if !mode.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').expect("a range");
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).expect("an address"));
        let mut bytes = vec![0; (end - start) as usize];
        if memory.seek(SeekFrom::Start(start)).is_ok() && memory.read_exact(&mut bytes).is_ok() {
            search(line, &bytes, needles);
            searched += bytes.len();
        }
    }
    searched
}

fn search_files(directory: &Path, needles: &[(&'static str, Vec<u8>)]) -> usize {
    let mut searched = 0;
    for entry in fs::read_dir(directory).expect("a readable directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            searched += search_files(&path, needles);
        } else {
            let bytes = fs::read(&path).expect("a readable file");
            search(&path.display().to_string(), &bytes, needles);
            searched += bytes.len();
        }
    }
    searched
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marked_template_is_found_nowhere_in_the_server() {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let server =
        ServerProcess::start(env!("CARGO_BIN_EXE_tytod-under-test"), directory.path(), "127.0.0.1:0");
    let client = connect(&server.endpoint).await;
    let vector = Rng(0xca_7a_41).vector(128);
    let mut everything = Vec::new();
    for (name, stride) in [("identification", 1), ("verification", 128)] {
        let gallery = gallery(&client, name, 128, stride).await;
        let template = gallery.gallery().quantiser().quantise(&vector).expect("a vector in range");
        everything = needles(&vector, template.values());
        gallery.enrol([(subject(0), template.clone())], &|_| ()).await.expect("it is enrolled");
        for probe_by in [ProbeBy::Ticket, ProbeBy::WholeQuery] {
            let verified = gallery.verify_with(&subject(0), &template, VerifyOptions { probe_by }).await;
            assert_eq!(verified.expect("an answer").best.score, template.inner_product(&template));
            let options = IdentifyOptions { probe_by, ..IdentifyOptions::default() };
            let found = gallery.identify(&template, options).await.expect("an answer");
            assert_eq!(found.candidates[0].score, template.inner_product(&template));
        }
    }
    let memory = search_memory(server.id(), &everything);
    let files = search_files(&directory.path().join("server"), &everything);
    let log = fs::read(&server.log).expect("the log");
    search("the log", &log, &everything);
    println!("searched {memory} bytes of memory, {files} of files, {} of logs", log.len());
    assert!(memory > 1 << 20 && files > 1 << 20 && !log.is_empty());
    // The search itself works: this process holds the template.
    let own = std::panic::catch_unwind(|| search_memory(std::process::id(), &everything));
    assert!(own.is_err(), "the search must find the template where it is");
}
