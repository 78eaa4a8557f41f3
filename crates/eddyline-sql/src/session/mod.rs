//! What lasts from one statement to the next: definitions, options, and how results are shown.

mod catalogs;
mod define;
mod live;
mod materialize;
mod options;
mod query;
mod report;
mod result;
mod show;
mod vocabulary;

pub use live::{JobProgress, LiveRows, ResultChange, ResultColumn, Watcher};
pub use options::SqlMode;
pub use report::report;
pub use result::{OutputFormat, ScriptOutput};
pub use vocabulary::{KnownTable, Vocabulary};

use crate::catalog::Catalogs;
use crate::expr::EvalContext;
use crate::operators::{KeyedShuffle, Settings, wall_micros};
use crate::parser::ast::Statement;
use crate::parser::span::SqlResult;
use crate::parser::{Parsed, parse_script};
use eddyline::Options;
use eddyline_core::Result;
use options::SqlOptions;

/// A session: runs statements one after the other.
///
/// # Examples
/// ```
/// use eddyline_sql::{OutputFormat, Session};
///
/// let mut session = Session::new();
/// let mut shown = Vec::new();
/// let script = "CREATE VIEW v AS SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t(n, s); SELECT SUM(n) AS total FROM v;";
/// session.run_script(script, OutputFormat::Json, &mut shown)?;
/// assert_eq!(String::from_utf8_lossy(&shown), "{\"total\":3}\n");
/// # Ok::<(), eddyline::Error>(())
/// ```
pub struct Session {
    catalogs: Catalogs,
    options: SqlOptions,
}

impl Default for Session {
    fn default() -> Self {
        Session::new()
    }
}

impl Session {
    /// A session with nothing defined, one worker, streaming.
    pub fn new() -> Self {
        Session::with_options(Options::default())
    }

    /// A session whose jobs are run with `engine`'s options.
    pub fn with_options(engine: Options) -> Self {
        Session { catalogs: Catalogs::default(), options: SqlOptions::new(engine) }
    }

    /// Whether queries give changes as they come, or final results.
    pub fn set_mode(&mut self, mode: SqlMode) {
        self.options.batch = mode == SqlMode::Batch;
    }

    /// Sets an option as SET does.
    ///
    /// # Errors
    /// Of kind `Config` for a value that is not possible.
    pub fn set_option(&mut self, key: &str, value: &str) -> Result<()> {
        self.options.set(key, value)
    }

    /// What an option was set to, by SET or [`Session::set_option`].
    pub fn option(&self, key: &str) -> Option<&str> {
        self.options.get(key)
    }

    /// Whether queries give final results only.
    pub fn mode(&self) -> SqlMode {
        if self.options.batch { SqlMode::Batch } else { SqlMode::Streaming }
    }

    /// Whether `text` ends with a whole statement.
    pub fn is_complete(text: &str) -> bool {
        crate::parser::is_complete(text)
    }

    /// Runs all statements of `script`, and writes what they show to `out`: JSON, CSV and changelogs show the last query
    /// only, and nothing else if there is a query.
    ///
    /// # Errors
    /// For the first statement that cannot be understood or run; statements before it have been run.
    pub fn run_script(
        &mut self,
        script: &str,
        format: OutputFormat,
        out: &mut dyn std::io::Write,
    ) -> Result<()> {
        let statements = on_large_stack(|| parse_script(script)).map_err(|error| error.into_error(script))?;
        let is_query = |parsed: &Parsed| matches!(parsed.statement, Statement::Query(_));
        let last = statements.iter().rposition(is_query);
        let mut output = ScriptOutput::new(format, out);
        output.tells = format == OutputFormat::Table || last.is_none();
        for (number, parsed) in statements.iter().enumerate() {
            output.shows_rows = Some(number) == last || format == OutputFormat::Table;
            self.run(parsed, script, &mut output)?;
        }
        Ok(())
    }

    /// As [`Session::run_script`], but `watcher` looks on while jobs run: it shows the rows of queries and may end them.
    ///
    /// # Errors
    /// As [`Session::run_script`]; of kind `Cancelled` if the watcher has ended a job.
    pub fn run_watched(
        &mut self,
        script: &str,
        out: &mut dyn std::io::Write,
        watcher: &mut dyn Watcher,
    ) -> Result<()> {
        let statements = on_large_stack(|| parse_script(script)).map_err(|error| error.into_error(script))?;
        let mut output = ScriptOutput::watched(out, watcher);
        statements.iter().try_for_each(|parsed| self.run(parsed, script, &mut output))
    }

    /// Runs `text`, which is one query, and has `watcher` see its rows. Nothing else is possible: nothing is defined,
    /// set or written.
    ///
    /// # Errors
    /// As [`Session::run_watched`], and if `text` is anything but a query.
    pub fn run_query(&mut self, text: &str, watcher: &mut dyn Watcher) -> Result<()> {
        let statements = on_large_stack(|| parse_script(text)).map_err(|error| error.into_error(text))?;
        let wrong = |span, what: &str| {
            let error = crate::parser::span::SqlError::at(span, what);
            error.hint("give one SELECT").into_error(text)
        };
        match statements.as_slice() {
            [Parsed { statement: Statement::Query(query), .. }] => {
                self.query(query, text, &mut ScriptOutput::watched(&mut std::io::sink(), watcher))
            }
            [] => Err(wrong(Default::default(), "there is no query")),
            [other] => Err(wrong(other.span, "only queries are possible here")),
            [_, second, ..] => Err(wrong(second.span, "only one query is possible at a time")),
        }
    }

    fn run(&mut self, parsed: &Parsed, script: &str, output: &mut ScriptOutput<'_>) -> Result<()> {
        let text = &script[parsed.span.start as usize..parsed.span.end as usize];
        let at_statement = |error: crate::parser::span::SqlError| error.into_error(script);
        match &parsed.statement {
            Statement::Query(query) => self.query(query, script, output),
            Statement::Insert(insert) => self.insert(std::slice::from_ref(insert), script, output),
            Statement::InsertSet(inserts) => self.insert(inserts, script, output),
            Statement::Explain { details, statement } => self.explain(details, statement, script, output),
            Statement::Set(None) => output.pairs(("key", "value"), &self.options.all()),
            Statement::Set(Some((key, value))) => self.options.set(key, value),
            Statement::Reset(key) => {
                self.options.reset(key.as_deref());
                Ok(())
            }
            Statement::CreateTable(table) => self.create_table(table, text, script, output),
            Statement::Describe { .. }
            | Statement::DescribeCatalog { .. }
            | Statement::Show { .. }
            | Statement::ShowColumns { .. }
            | Statement::ShowCreate { .. } => self.show(&parsed.statement, script, output),
            statement => {
                self.define(statement, text).map_err(at_statement)?;
                self.save_catalogs()
            }
        }
    }

    fn settings(&self) -> SqlResult<Settings> {
        Ok(Settings {
            zone: self.options.zone()?,
            lenient_casts: self.options.is("table.exec.legacy-cast-behaviour", "enabled"),
            batch: self.options.batch,
            drops_nulls: self.options.is("table.exec.sink.not-null-enforcer", "DROP"),
            local_windows: false,
            normalizes: self.options.is("table.exec.source.cdc-events-duplicate", "true"),
            keyed_shuffle: match () {
                () if self.options.is("table.exec.sink.keyed-shuffle", "FORCE") => KeyedShuffle::Force,
                () if self.options.is("table.exec.sink.keyed-shuffle", "NONE") => KeyedShuffle::None,
                () => KeyedShuffle::Auto,
            },
            ttl_ms: self.options.state_ttl_ms()?,
            nets: !self.options.is("table.exec.mini-batch.enabled", "false"),
        })
    }

    fn context(&self) -> SqlResult<EvalContext> {
        Ok(self.settings()?.context(wall_micros()))
    }
}

/// Runs `work` where deeply nested statements find enough stack.
pub(crate) fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    const STACK_BYTES: usize = 64 << 20;
    std::thread::scope(|scope| {
        let spawned = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        match spawned.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => panic!("a thread cannot be started: {error}"),
        }
    })
}
