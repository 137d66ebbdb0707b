//! What can go wrong in the command line's own modules.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use crate::embeddings::{
    MAX_CSV_LINE_BYTES, MAX_DIMENSION, MAX_LABEL_BYTES, MAX_NPY_HEADER_BYTES, MAX_PAIRS, MAX_ROWS, MAX_VALUES,
};
use crate::input::BadRow;

/// An error of the command line. Rows are counted from 0.
///
/// No variant carries an embedding or a label.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error("cannot read the file")]
    Io(#[from] io::Error),

    /// The CSV reader met bytes that are not CSV, or could not read on.
    #[error("cannot read the CSV file")]
    Csv(#[from] csv::Error),

    /// The file does not start with the six bytes of an `.npy` file.
    #[error("not an .npy file: it does not start with \\x93NUMPY")]
    NpyMagic,

    /// The `.npy` format version is not one that is understood.
    #[error(".npy format version {major}.{minor} found; 1.0, 2.0 and 3.0 are accepted")]
    NpyVersion {
        /// First number of the version found.
        major: u8,
        /// Second number of the version found.
        minor: u8,
    },

    /// The `.npy` header is longer than is read.
    #[error(".npy header of {found_bytes} bytes; at most {MAX_NPY_HEADER_BYTES} bytes are accepted")]
    NpyHeaderLength {
        /// Length that the file states.
        found_bytes: u32,
    },

    /// The `.npy` header is not the dictionary that the format prescribes.
    #[error(".npy header, byte {offset}: expected {expected}")]
    NpyHeader {
        /// Position in the header text, in bytes.
        offset: usize,
        /// What the format prescribes there.
        expected: &'static str,
    },

    /// The `.npy` elements have a type that is not accepted.
    #[error(".npy element type {found} found; '<f2', '<f4' and '<f8' (little-endian floats) are accepted")]
    NpyElementType {
        /// The type as the header writes it, cut short.
        found: String,
    },

    /// The `.npy` array is stored column by column.
    #[error(".npy array in Fortran order found; C order is accepted (numpy.ascontiguousarray)")]
    NpyFortranOrder,

    /// The `.npy` array does not have two axes, or one of them is empty.
    #[error(".npy array of shape {found:?} found; (rows, dimension), both at least 1, is accepted")]
    NpyShape {
        /// The axes' lengths.
        found: Vec<u64>,
    },

    /// The file ends before its header or its last row does.
    #[error("the file is truncated: it ends in {}", match .row {
        Some(row) => format!("row {row} of {rows}", rows = .rows),
        None => "the header".to_owned(),
    })]
    Truncated {
        /// The first row that is not whole; none if the header is not.
        row: Option<u64>,
        /// Rows that the header states.
        rows: u64,
    },

    /// The file goes on after its last row.
    #[error("the file goes on after its last row, {rows} rows in all: trailing bytes")]
    TrailingBytes {
        /// Rows that the header states.
        rows: u64,
    },

    /// There are more rows than are accepted.
    #[error("more rows than the {MAX_ROWS} that are accepted")]
    TooManyRows,

    /// The embeddings have more coordinates than are accepted.
    #[error("dimension {found} found; at most {MAX_DIMENSION} is accepted")]
    DimensionTooLarge {
        /// Coordinates per row.
        found: u64,
    },

    /// There are more coordinates in all than are accepted.
    #[error("{rows} rows of {dimension} coordinates; at most {MAX_VALUES} coordinates in all are accepted")]
    TooManyValues {
        /// Rows.
        rows: u64,
        /// Coordinates per row.
        dimension: u64,
    },

    /// There is no row at all, or a row has no coordinates.
    #[error("no embeddings found")]
    NoEmbeddings,

    /// A row holds a NaN or an infinity.
    #[error("row {row}: coordinate {coordinate} is not finite")]
    NotFinite {
        /// The row.
        row: u64,
        /// The coordinate within the row.
        coordinate: usize,
    },

    /// A row is zero and so has no direction.
    #[error("row {row} is zero, so it has no direction to compare")]
    ZeroRow {
        /// The row.
        row: u64,
    },

    /// A CSV field is not a number.
    #[error("row {row}: coordinate {coordinate} is not a number")]
    NotANumber {
        /// The row.
        row: u64,
        /// The coordinate within the row.
        coordinate: usize,
    },

    /// A CSV row has another number of coordinates than the first one.
    #[error("row {row} has {found} coordinates; the first row has {expected}")]
    UnevenRow {
        /// The row.
        row: u64,
        /// Coordinates in this row.
        found: usize,
        /// Coordinates in the first row.
        expected: usize,
    },

    /// A line of a text file is longer than is read.
    #[error("a line is longer than the {MAX_CSV_LINE_BYTES} bytes that are accepted")]
    LineTooLong,

    /// A label is empty, too long or not UTF-8.
    #[error("the label of line {line} is empty, not UTF-8 or longer than {MAX_LABEL_BYTES} bytes")]
    BadLabel {
        /// The line of the label file, from 1.
        line: u64,
    },

    /// A label line does not begin with a row number that is still without a label.
    #[error("line {line} of the labels: expected the number of a row that has no label yet")]
    BadLabelRow {
        /// The line of the label file, from 1.
        line: u64,
    },

    /// There are labels for another number of rows than there are.
    #[error("{labels} labels for {rows} embeddings")]
    LabelCount {
        /// Labels found.
        labels: usize,
        /// Embeddings found.
        rows: usize,
    },

    /// A line of a pairs file is not `row_a,row_b,same[,fold]`, or names a row that is not there.
    #[error("line {line} of the pairs: expected row_a,row_b,same[,fold] with rows from 0 to {}", .rows - 1)]
    BadPair {
        /// The line, from 1.
        line: u64,
        /// Rows that there are.
        rows: usize,
    },

    /// A pair says another thing than the labels of its rows.
    #[error("the pair of rows {row_a} and {row_b} says the opposite of their labels")]
    PairContradictsLabels {
        /// The first row.
        row_a: usize,
        /// The second row.
        row_b: usize,
    },

    /// There are more pairs than are accepted.
    #[error("more pairs than the {MAX_PAIRS} that are accepted")]
    TooManyPairs,

    /// A pairs file lists nothing.
    #[error("no pairs found")]
    NoPairs,

    /// A row that the file does not have.
    #[error("there is no row {row}: the file has rows 0 to {}", .rows - 1)]
    NoSuchRow {
        /// The row that was asked for.
        row: usize,
        /// Rows of the file.
        rows: usize,
    },

    /// The embeddings do not fit the gallery.
    #[error("the embeddings have {found} coordinates, the gallery wants {expected}")]
    FileDimension {
        /// Coordinates per row of the file.
        found: usize,
        /// The gallery's dimension.
        expected: usize,
    },

    /// Rows cannot be templates of the gallery; nothing was changed.
    #[error("{}", bad_rows(rows))]
    BadRows {
        /// All of them.
        rows: Vec<BadRow>,
    },

    /// It is not said whose the rows are.
    #[error(
        "whose rows are these? Give --labels FILE, or --subject ID to enrol, or CSV with a column of labels"
    )]
    NoLabels,

    /// Something that cannot be undone was not confirmed.
    #[error("this deletes the gallery and everything in it for good: repeat the command with --yes")]
    NotConfirmed,

    /// Neither a keyring nor a home directory is known.
    #[error("HOME is not set: say where the keyring is with --keyring FILE")]
    NoHome,

    /// There is no keyring.
    #[error("there is no keyring at {}: make one with `tyto keyring init`", .path.display())]
    NoKeyring {
        /// Where it was looked for.
        path: PathBuf,
    },

    /// A keyring file could not be read, opened or written.
    #[error("keyring {}", .path.display())]
    Keyring {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<tyto_client::Error>,
    },

    /// There is no file of a signing key.
    #[error("there is no signing key at {}", .path.display())]
    NoSigningKey {
        /// Where it was looked for.
        path: PathBuf,
    },

    /// The file of a signing key could not be read, opened or written.
    #[error("signing key {}", .path.display())]
    SigningKey {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<tyto_client::Error>,
    },

    /// A file holds no public key.
    #[error(
        "this is no public key: SubjectPublicKeyInfo in DER, a list of trusted keys, or a bundle is accepted"
    )]
    PublicKey(#[source] tyto_client::pqc::Error),

    /// A list of trusted keys is empty, or a bundle has no key for a purpose.
    #[error("there is no such key in this file")]
    NoKeys,

    /// The trust root has the key that was to be added.
    #[error("key {key} is in the trust root already")]
    KeyListed {
        /// Its id.
        key: String,
    },

    /// The trust root does not have the key that was to be changed.
    #[error("key {key} is not in the trust root")]
    KeyNotListed {
        /// Its id.
        key: String,
    },

    /// There is no passphrase and nobody to ask.
    #[error("no passphrase: set {variable}, give {option} FILE, or run the command on a terminal")]
    NoPassphrase {
        /// The environment variable that would hold it.
        variable: &'static str,
        /// The option that would name its file.
        option: &'static str,
    },

    /// A new passphrase is empty, or too long.
    #[error("a passphrase has 1 to {max_bytes} bytes")]
    PassphraseLength {
        /// The limit.
        max_bytes: usize,
    },

    /// A new passphrase was typed in two ways.
    #[error("the two passphrases differ")]
    PassphrasesDiffer,

    /// The passphrase could not be read.
    #[error("cannot read the passphrase")]
    ReadPassphrase(#[source] io::Error),

    /// A maximum norm where lengths do not count.
    #[error("--max-norm is for --metric inner-product: cosine does not look at lengths")]
    MaxNormOfCosine,

    /// A layout that the scheme refuses.
    #[error("this layout cannot be")]
    Layout(#[from] tyto_client::scheme::Error),

    /// A file that was named on the command line is wrong.
    #[error("{}", .path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<Error>,
    },

    /// A result could not be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },

    /// An attestation, a file around one, or a list of trusted keys is wrong.
    #[error("check `{}` failed: {_0}", .0.check())]
    Attestation(#[from] tyto_client::attest::Error),

    /// A trust root that evidence was to be judged by cannot be used.
    #[error("the trust root {} cannot be used: check `{}` failed: {source}", .path.display(), .source.check())]
    TrustRoot {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: tyto_client::attest::Error,
    },

    /// There is no list of keys to judge evidence by.
    #[error("whose keys are believed? Give --roots FILE, a trust root")]
    NoTrustRoot,

    /// The evidence is not about a match.
    #[error("the evidence is not about a match")]
    NoMatch,

    /// A match that is about nobody.
    #[error("whom does it match? Give --subject ID, or --pseudonym HEX")]
    NoSubject,

    /// There is nobody to trust.
    #[error("whose signature is believed? Give --roots FILE, or --trusted-keys FILE (made by `tytod key`)")]
    NoTrustedKeys,

    /// An attestation holds, but is for somebody else.
    #[error("the attestation holds, but its audience is `{found}`")]
    OtherAudience {
        /// Whom it is for.
        found: String,
    },

    /// A log is not what it ought to be.
    #[error(transparent)]
    LogRejected(Box<crate::commands::log::Rejection>),

    /// An audit log is not what it ought to be.
    #[error(transparent)]
    AuditRejected(Box<crate::commands::audit::Rejection>),

    /// A match cannot be replayed.
    #[error(transparent)]
    Replay(#[from] tyto_replay::Error),

    /// The ciphertexts of a match would be larger than was allowed.
    #[error("the ciphertexts would have {bytes} bytes: allow them with --max-bytes")]
    CiphertextsTooLarge {
        /// Their size.
        bytes: u64,
    },

    /// A match that was computed once more is not what was attested.
    #[error("the replay differs: `{field}` of the statement is not what was found{}", .place.as_deref().unwrap_or_default())]
    ReplayDiffers {
        /// The first field of the statement that differs.
        field: &'static str,
        /// Where the result differs.
        place: Option<String>,
    },

    /// The answer came without the attestation that was to be saved.
    #[error("the answer carries no attestation to save")]
    NoAttestation,

    /// No checkpoint came in time.
    #[error("no checkpoint covered the entry within {seconds} s: ask for its receipt later")]
    NotCovered {
        /// How long it was waited for.
        seconds: u64,
    },

    /// The entry was attested and saved, and its bundle could not be made.
    #[error("the entry is in {}; `tyto attest receipt` fetches its receipt", .entry.display())]
    ReceiptPending {
        /// Where the entry is.
        entry: PathBuf,
        /// Why.
        #[source]
        source: Box<Error>,
    },

    /// A file is evidence, and not of a kind that a log has entries of.
    #[error("this is neither an attestation nor a statement")]
    NoEntry,

    /// What is to be evaluated has no subject with two images.
    #[error("no subject has two or more images: there is nothing to enrol and search for")]
    NothingToEnrol,

    /// A gallery of an evaluation holds something else than what was enrolled.
    #[error("the temporary gallery was changed by somebody else")]
    TrialGallery,

    /// Nothing could be measured.
    #[error(transparent)]
    Measure(#[from] tyto_measure::Error),

    /// The server that was to be measured did not start.
    #[error("{} does not serve{}", .path.display(), .said.as_ref().map_or(String::new(), |said| format!(": {said}")))]
    Tytod {
        /// The binary.
        path: PathBuf,
        /// The last that it said.
        said: Option<String>,
        /// Why it did not even run.
        #[source]
        source: Option<io::Error>,
    },

    /// The server's health could not be asked for.
    #[error("the server does not say how it is: {}", .0.code())]
    Health(Box<tonic::Status>),

    /// The command was interrupted.
    #[error("interrupted")]
    Interrupted,

    /// A background task of this process ended early.
    #[error("a background task ended early")]
    Task,

    /// A list of servers that are trusted for sealed sessions is wrong.
    #[error(transparent)]
    SessionKeys(#[from] tyto_client::session::Error),

    /// There is no session without servers that are trusted for it.
    #[error("no servers to have a session with: give --sealed or TYTO_SEALED")]
    NotSealed,

    /// The client refused or failed.
    #[error(transparent)]
    Client(#[from] tyto_client::Error),

    /// A score lies outside of the range that its tally was made for, or is NaN.
    #[error("a score lies outside of the range that its scale allows")]
    ScoreOutOfRange,

    /// There are no mated comparisons or searches to count errors in.
    #[error("no mated comparisons: at least one subject needs two images")]
    NoMated,

    /// There are no non-mated comparisons or searches to count errors in.
    #[error("no non-mated comparisons: at least two subjects are needed")]
    NoNonMated,

    /// A row of scores has another length than the gallery.
    #[error("{found} scores for a gallery of {expected} references")]
    ScoreCount {
        /// Scores given.
        found: usize,
        /// References enrolled.
        expected: usize,
    },
}

impl Error {
    /// Says which file an error is about.
    pub fn in_file(path: impl Into<PathBuf>) -> impl FnOnce(Self) -> Self {
        let path = path.into();
        move |source| Self::InFile { path, source: Box::new(source) }
    }

    /// Says where the entry is whose receipt is missing.
    pub fn receipt_pending(entry: impl Into<PathBuf>) -> impl FnOnce(Self) -> Self {
        let entry = entry.into();
        move |source| Self::ReceiptPending { entry, source: Box::new(source) }
    }

    /// Says which signing key an error is about.
    pub fn signing_key(path: impl Into<PathBuf>) -> impl FnOnce(tyto_client::Error) -> Self {
        let path = path.into();
        move |source| Self::SigningKey { path, source: Box::new(source) }
    }

    /// The error and its causes on one line. Causes that an error quotes itself are not repeated.
    pub fn describe(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let line = error.to_string();
            if !text.ends_with(&line) {
                let _ = write!(text, ": {line}");
            }
            cause = error.source();
        }
        text
    }
}

/// Most bad rows that an error lists.
const LISTED_BAD_ROWS: usize = 10;

fn bad_rows(rows: &[BadRow]) -> String {
    let verb = if rows.len() == 1 { "row cannot be a template" } else { "rows cannot be templates" };
    let mut text = format!("{} {verb}, nothing was changed:", rows.len());
    for row in rows.iter().take(LISTED_BAD_ROWS) {
        let _ = write!(text, "\n  row {}: {}", row.row, row.reason);
    }
    if rows.len() > LISTED_BAD_ROWS {
        let _ = write!(text, "\n  and {} more", rows.len() - LISTED_BAD_ROWS);
    }
    text
}
