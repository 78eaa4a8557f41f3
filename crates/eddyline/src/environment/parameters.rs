//! The parameters of a program: what people give it on its command line or in a file.

use super::values;
use eddyline_core::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// The parameters of a program, by name: from `--key value`, `--key=value` and `--flag` (one dash does as well), from
/// a properties file, or both.
///
/// What follows `--` on the command line of a job is taken apart by [`Environment::parameters`]; functions find the
/// same parameters in their [`RuntimeContext`].
///
/// [`Environment::parameters`]: crate::Environment::parameters
/// [`RuntimeContext`]: crate::RuntimeContext
///
/// # Examples
/// ```
/// use eddyline::Parameters;
/// use std::time::Duration;
///
/// let parameters = Parameters::from_args(["--threshold", "-3", "--window=10 s", "--verbose", "access.log"])?;
/// assert_eq!(parameters.require("threshold")?, "-3");
/// assert_eq!(parameters.parsed_or("threshold", 0i64)?, -3);
/// assert_eq!(parameters.duration("window")?, Some(Duration::from_secs(10)));
/// assert_eq!(parameters.get_or("colour", "blue"), "blue");
/// // What follows a flag could be its value: give flags last, or write `--verbose=true`.
/// assert_eq!(parameters.get("verbose"), Some("access.log"));
///
/// let error = parameters.require("treshold").unwrap_err();
/// assert_eq!(error.hint(), Some("did you mean `--threshold`?"));
/// # Ok::<(), eddyline::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// In the order in which they were given; the last one counts. Flags have no value.
    values: BTreeMap<String, Vec<Option<String>>>,
    positional: Vec<String>,
}

/// The name in `--name` or `-name`; a number is no name.
fn name_of(argument: &str) -> Option<&str> {
    let name = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'))?;
    (argument.parse::<f64>().is_err()).then_some(name)
}

impl Parameters {
    /// Takes arguments apart. A name is followed by its value unless another name follows; what belongs to no name
    /// is [positional](Parameters::positional).
    ///
    /// # Errors
    /// Of kind `Config` for a dash without a name.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Parameters;
    ///
    /// let parameters = Parameters::from_args(["in.log", "--output", "out.log", "-dry-run"])?;
    /// assert_eq!(parameters.positional(), ["in.log"]);
    /// assert_eq!(parameters.get("output"), Some("out.log"));
    /// assert!(parameters.flag("dry-run")?);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn from_args<A: Into<String>>(arguments: impl IntoIterator<Item = A>) -> Result<Self> {
        let mut parameters = Parameters::default();
        let mut arguments = arguments.into_iter().map(Into::into).peekable();
        while let Some(argument) = arguments.next() {
            let Some(name) = name_of(&argument) else {
                parameters.positional.push(argument);
                continue;
            };
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (name.to_owned(), arguments.next_if(|next| name_of(next).is_none())),
            };
            if name.is_empty() {
                return Err(Error::config(format!("the argument `{argument}` has no name"))
                    .with_hint("write `--key value`, `--key=value` or `--flag`"));
            }
            parameters.values.entry(name).or_default().push(value);
        }
        Ok(parameters)
    }

    /// Reads the lines of a properties file: `key = value` or `key: value`; `#` and `!` begin comments, and a line
    /// that ends in `\` goes on in the next one.
    ///
    /// # Errors
    /// Of kind `Config` for a line without a key, with its number.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Parameters;
    ///
    /// let text = "# what to read\ninput = a.log, \\\n  b.log\nlimit: 5\n";
    /// let parameters = Parameters::from_properties(text)?;
    /// assert_eq!(parameters.get("input"), Some("a.log, b.log"));
    /// assert_eq!(parameters.parsed::<u32>("limit")?, Some(5));
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn from_properties(text: &str) -> Result<Self> {
        let mut parameters = Parameters::default();
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let mut logical = line.trim().to_owned();
            if logical.is_empty() || logical.starts_with(['#', '!']) {
                continue;
            }
            while logical.ends_with('\\') {
                logical.pop();
                let Some((_, more)) = lines.next() else { break };
                logical.push_str(more.trim());
            }
            let (key, value) = match logical.find(['=', ':']) {
                Some(at) => (logical[..at].trim(), Some(logical[at + 1..].trim().to_owned())),
                None => (logical.as_str(), None),
            };
            if key.is_empty() {
                return Err(Error::config("a property has no key")
                    .with_detail(format!("line {}: `{line}`", number + 1))
                    .with_hint("write `key = value`"));
            }
            parameters.values.entry(key.to_owned()).or_default().push(value);
        }
        Ok(parameters)
    }

    /// Reads a properties file; see [`Parameters::from_properties`].
    ///
    /// # Errors
    /// Of kind `Config`, naming the file, if it cannot be read or understood.
    pub fn from_properties_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::config(format!("cannot read the properties file: {error}"))
                .with_detail(path.display().to_string())
                .with_hint("check the path; worker processes on other hosts need the file, too")
        })?;
        Parameters::from_properties(&text).map_err(|error| error.with_detail(path.display().to_string()))
    }

    /// These parameters, and of `others` those that are not given here: the command line before a file, the file
    /// before defaults.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Parameters;
    ///
    /// let file = Parameters::from_properties("limit = 5\ncolour = red")?;
    /// let parameters = Parameters::from_args(["--limit", "7"])?.or(file);
    /// assert_eq!((parameters.get("limit"), parameters.get("colour")), (Some("7"), Some("red")));
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    #[must_use]
    pub fn or(mut self, others: Parameters) -> Self {
        for (name, values) in others.values {
            self.values.entry(name).or_insert(values);
        }
        if self.positional.is_empty() {
            self.positional = others.positional;
        }
        self
    }

    /// The same parameters and one more.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.values.entry(name.into()).or_default().push(Some(value.into()));
        self
    }

    /// The arguments that belong to no name, in order.
    pub fn positional(&self) -> &[String] {
        &self.positional
    }

    /// The names of all parameters.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Whether the parameter is given, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The value of a parameter; of several the last. None if it is not given or has no value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.last()?.as_deref()
    }

    /// All values of a parameter that is given several times.
    pub fn get_all(&self, name: &str) -> Vec<&str> {
        self.values.get(name).into_iter().flatten().filter_map(Option::as_deref).collect()
    }

    /// The value of a parameter, else `default`.
    pub fn get_or<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.get(name).unwrap_or(default)
    }

    /// The value of a parameter that has to be there.
    ///
    /// # Errors
    /// Of kind `Config` if it is not, with the name that was probably meant.
    pub fn require(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| {
            if self.has(name) {
                return Error::config(format!("the parameter `--{name}` has no value"))
                    .with_hint(format!("write `--{name} VALUE`"));
            }
            let hint = match values::closest(name, self.names()) {
                Some(meant) => format!("did you mean `--{meant}`?"),
                None => format!("give it after `--`, for example `-- --{name} VALUE`"),
            };
            Error::config(format!("the parameter `--{name}` is missing")).with_hint(hint)
        })
    }

    /// The value of a parameter as a `V`: a number, `true` or `false`, an address, whatever can be read from text.
    ///
    /// # Errors
    /// Of kind `Config` if the value cannot be read, naming parameter, value and type.
    pub fn parsed<V: FromStr>(&self, name: &str) -> Result<Option<V>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let value = text.trim().parse().map_err(|_| {
            let wanted = std::any::type_name::<V>();
            let wanted = wanted.rsplit("::").next().unwrap_or(wanted);
            Error::config(format!("the parameter `--{name}` cannot be `{text}`"))
                .with_hint(format!("give a value of type {wanted}"))
        })?;
        Ok(Some(value))
    }

    /// As [`Parameters::parsed`]; `default` if the parameter is not given.
    ///
    /// # Errors
    /// As for [`Parameters::parsed`].
    pub fn parsed_or<V: FromStr>(&self, name: &str, default: V) -> Result<V> {
        Ok(self.parsed(name)?.unwrap_or(default))
    }

    /// As [`Parameters::parsed`], for a parameter that has to be there.
    ///
    /// # Errors
    /// As for [`Parameters::parsed`] and [`Parameters::require`].
    pub fn require_parsed<V: FromStr>(&self, name: &str) -> Result<V> {
        self.require(name)?;
        self.parsed(name)?.ok_or_else(|| Error::config(format!("the parameter `--{name}` is missing")))
    }

    /// Whether a flag is set: given without a value or as `true`.
    ///
    /// # Errors
    /// Of kind `Config` for a value other than `true` and `false`.
    pub fn flag(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            None => Ok(self.has(name)),
            Some(_) => self.parsed_or(name, false),
        }
    }

    /// The value of a parameter as a duration: a number and a unit, for example `10 s` or `5 min`; milliseconds if
    /// there is none.
    ///
    /// # Errors
    /// Of kind `Config` if the value cannot be read.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>> {
        self.get(name).map(|text| values::duration(&format!("--{name}"), text)).transpose()
    }

    /// The value of a parameter as a size in bytes: a number and a unit, for example `512m` or `2 gb`.
    ///
    /// # Errors
    /// Of kind `Config` if the value cannot be read.
    pub fn bytes(&self, name: &str) -> Result<Option<usize>> {
        self.get(name).map(|text| values::bytes(&format!("--{name}"), text)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_flags_and_what_belongs_to_no_name() {
        let arguments = ["a", "--x", "1", "--x=2", "-y", "-0.5", "b", "--flag", "--off", "false", "--e="];
        let parameters = Parameters::from_args(arguments).unwrap();
        assert_eq!(parameters.positional(), ["a", "b"]);
        assert_eq!((parameters.get("x"), parameters.get_all("x")), (Some("2"), vec!["1", "2"]));
        assert_eq!(parameters.require_parsed::<f64>("y").unwrap(), -0.5);
        assert!(parameters.flag("flag").unwrap() && !parameters.flag("off").unwrap());
        assert!(!parameters.flag("absent").unwrap() && parameters.flag("x").is_err());
        assert_eq!(parameters.get("e"), Some(""));
        assert!(parameters.require("flag").unwrap_err().message().contains("no value"));
        let error = parameters.parsed::<u32>("y").unwrap_err();
        assert_eq!(error.message(), "the parameter `--y` cannot be `-0.5`");
        assert_eq!(error.hint(), Some("give a value of type u32"));
        assert!(Parameters::from_args(["--"]).is_err() && Parameters::from_args(["--=x"]).is_err());
    }

    #[test]
    fn properties_have_comments_and_long_lines() {
        let text = "! a comment\n\n a = 1 \nb:2=3\nc\nd = x\\\n   y\\\n";
        let parameters = Parameters::from_properties(text).unwrap();
        assert_eq!(parameters.names().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!((parameters.get("a"), parameters.get("b")), (Some("1"), Some("2=3")));
        assert_eq!((parameters.get("c"), parameters.get("d")), (None, Some("xy")));
        let error = Parameters::from_properties("a = 1\n= 2").unwrap_err();
        assert!(error.detail().unwrap().contains("line 2"));
        assert!(Parameters::from_properties_file("/does/not/exist").unwrap_err().detail().is_some());
    }
}
