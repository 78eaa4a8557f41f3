//! The command line of a program.

use super::Options;
use super::values::closest;
use eddyline_core::{Error, Result};
use eddyline_runtime::attempt::control;

/// Options with a short way to say them, and the long one.
const SHORT: &[(&str, &str)] = &[
    ("--parallelism", "parallelism.default"),
    ("-p", "parallelism.default"),
    ("--processes", "eddyline.processes"),
    ("--checkpoint-dir", "execution.checkpointing.dir"),
    ("--drop-state", "execution.state-recovery.drop-state"),
    ("--memory", "taskmanager.memory.process.size"),
];

/// Reads `--name value`, `--name=value`, `-Dkey=value` and, after `--`, the program's own arguments.
pub(super) fn parse(arguments: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options::default();
    options.runtime.handle_signals = true;
    options.runtime.control_dir = Some(control::default_directory());
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            options.arguments = arguments.collect();
            return Ok(options);
        }
        if argument == "--help" || argument == "-h" {
            print_help_and_exit();
        }
        if let Some(pair) = argument.strip_prefix("-D") {
            // Both `-Dkey=value` and `-D key=value` are usual.
            let pair = if pair.is_empty() { arguments.next().unwrap_or_default() } else { pair.to_owned() };
            let Some((key, value)) = pair.split_once('=') else {
                return Err(Error::config(format!("`-D{pair}` has no value"))
                    .with_hint("write -Dkey=value, for example -Dparallelism.default=4"));
            };
            options.set(key.trim(), value)?;
            continue;
        }
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let Some((_, key)) = SHORT.iter().find(|(short, _)| *short == name) else {
            return Err(unknown(name));
        };
        let Some(value) = value.or_else(|| arguments.next()) else {
            return Err(
                Error::config(format!("`{name}` has no value")).with_hint(format!("write {name} VALUE"))
            );
        };
        options.set(key, &value)?;
    }
    Ok(options)
}

fn unknown(argument: &str) -> Error {
    let hint = match closest(argument, SHORT.iter().map(|(short, _)| *short)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "put the program's own arguments after `--`; `--help` lists all options".to_owned(),
    };
    Error::config(format!("there is no argument `{argument}`")).with_hint(hint)
}

#[allow(clippy::print_stdout)] // this is what was asked for
fn print_help_and_exit() -> ! {
    println!("Usage: [OPTION…] [-- ARGUMENT…]\n");
    for (short, key) in SHORT {
        println!("  {short} VALUE\n        the same as -D{key}=VALUE");
    }
    print!("{}", Options::help());
    std::process::exit(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_all(arguments: &[&str]) -> Result<Options> {
        parse(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn short_and_long_options_and_the_programs_own() {
        let arguments =
            ["-p", "4", "--processes=2", "-D", "eddyline.batch-rows=7", "--memory", "64m", "--", "-p", "x"];
        let options = parse_all(&arguments).unwrap();
        assert_eq!((options.parallelism, options.runtime.processes), (4, 2));
        assert_eq!((options.runtime.batch_rows, options.runtime.memory_bytes), (7, 64 << 20));
        assert_eq!(options.arguments, ["-p", "x"]);
    }

    #[test]
    fn mistakes_are_explained() {
        assert_eq!(
            parse_all(&["--paralellism", "2"]).err().unwrap().hint(),
            Some("did you mean `--parallelism`?")
        );
        assert!(parse_all(&["-p"]).err().unwrap().message().contains("no value"));
        assert!(parse_all(&["-Dx"]).err().unwrap().message().contains("no value"));
        assert!(parse_all(&["file.log"]).err().unwrap().hint().unwrap().contains("after `--`"));
    }
}
