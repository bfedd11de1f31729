//! Fetches a version of Kafka from Maven Central, once: its jars stay in the user's cache.

use super::{Live, LiveError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The version that the model is held to.
pub const DEFAULT_VERSION: &str = "3.9.1";

/// A version of Kafka, as a folder of jars.
pub struct Installation {
    /// The folder.
    pub jars: PathBuf,
    /// As Maven Central writes it.
    pub version: String,
}

fn project(version: &str) -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>"
        )
    };
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\n\
         <groupId>conformance</groupId><artifactId>kafka</artifactId><version>1</version>\n\
         <dependencies>{}{}</dependencies></project>\n",
        dependency("org.apache.kafka", "kafka_2.13", version),
        dependency("org.slf4j", "slf4j-nop", "1.7.36"),
    )
}

/// Where programs keep what they can fetch again.
fn cache() -> PathBuf {
    let named =
        |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("XDG_CACHE_HOME")
        .or_else(|| named("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("cutover-conformance")
}

/// The first line that a program prints to say which version it is.
fn version_of(program: &str, argument: &str) -> Live<String> {
    let output =
        Command::new(program).arg(argument).stdin(Stdio::null()).output().map_err(|error| {
            LiveError::Cluster(format!("{program} is needed and could not be run: {error}"))
        })?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or("").to_owned())
}

/// The major version in what Java says of itself: `openjdk version "17.0.15" 2025-04-15`.
fn java_major(line: &str) -> Option<u32> {
    line.split('"').nth(1)?.split('.').next()?.parse().ok()
}

fn fetch(folder: &Path, version: &str) -> Live<()> {
    std::fs::write(folder.join("pom.xml"), project(version))?;
    let output = Command::new("mvn")
        .args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| LiveError::Cluster(format!("mvn is needed and could not be run: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let first = said.lines().find(|line| line.contains("ERROR")).unwrap_or("it said nothing");
    Err(LiveError::Cluster(format!("mvn could not fetch Kafka {version}: {first}")))
}

impl Installation {
    /// The jars of that version, fetched if they are not there.
    ///
    /// # Errors
    /// Where Java 17 or Maven is missing, or there is no such version.
    pub fn find(version: &str) -> Live<Installation> {
        let named = version.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter));
        if version.is_empty() || !named {
            return Err(LiveError::Cluster(format!("no version of Kafka: {version:?}")));
        }
        let java = version_of("java", "-version")?;
        if java_major(&java).is_none_or(|major| major < 17) {
            return Err(LiveError::Cluster(format!("Java 17 is needed, here is: {java}")));
        }
        let folder = cache().join(format!("kafka-{version}"));
        let jars = folder.join("jars");
        if !jars.is_dir() {
            std::fs::create_dir_all(cache())?;
            // Fetched beside it and then renamed, so that half a folder is never taken for the whole.
            let fetched = tempfile::tempdir_in(cache())?;
            fetch(fetched.path(), version)?;
            let kept = fetched.keep();
            if let Err(error) = std::fs::rename(&kept, &folder) {
                std::fs::remove_dir_all(&kept)?;
                if !jars.is_dir() {
                    return Err(error.into());
                }
            }
        }
        Ok(Installation { jars, version: version.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::{Installation, java_major};

    #[test]
    fn java_says_its_version_in_quotes() {
        assert_eq!(java_major("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(java_major("java version \"1.8.0_292\""), Some(1));
        assert_eq!(java_major("sh: java: not found"), None);
    }

    #[test]
    fn a_version_is_no_path() {
        assert!(Installation::find("../3.9.1").is_err());
        assert!(Installation::find("").is_err());
    }
}
