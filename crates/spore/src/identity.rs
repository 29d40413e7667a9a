//! What a version text says about where a program came from: `v{semver}-{7 hex digits}`.

/// What a version text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A release of a known commit.
    Commit {
        /// The semantic version (SemVer 2.0), without the `v`.
        semver: String,
        /// The first seven hex digits of the commit.
        commit: String,
        /// The tree held changes that no commit names.
        dirty: bool,
    },
    /// `latest`: whatever it was when somebody looked.
    Latest,
    /// Any other text, such as a plain `v0.1.0`: it doesn't say which commit.
    Other,
}

/// Reads `version` as `v{semver}-{7 lower-case hex digits}`, with `-dirty` after it for an uncommitted tree.
#[must_use]
pub fn identity(version: &str) -> Identity {
    if version.eq_ignore_ascii_case("latest") || version.eq_ignore_ascii_case("vlatest") {
        return Identity::Latest;
    }
    let (clean, dirty) = version.strip_suffix("-dirty").map_or((version, false), |rest| (rest, true));
    let Some((semver, commit)) = clean.strip_prefix('v').and_then(|rest| rest.rsplit_once('-')) else {
        return Identity::Other;
    };
    let is_commit = commit.len() == 7 && commit.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_commit && is_semver(semver) {
        Identity::Commit { semver: semver.to_owned(), commit: commit.to_owned(), dirty }
    } else {
        Identity::Other
    }
}

/// SemVer 2.0: three numbers, then optional pre-release and build identifiers.
fn is_semver(text: &str) -> bool {
    let (text, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
    let word = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let digits = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    let number = |id: &str| digits(id) && (id == "0" || !id.starts_with('0'));
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(|id| word(id) && (!digits(id) || number(id))))
        && build.is_none_or(|build| build.split('.').all(word))
}

#[cfg(test)]
mod tests;
