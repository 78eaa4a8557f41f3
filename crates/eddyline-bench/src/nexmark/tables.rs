//! Nexmark's three tables as files, Parquet or lines of JSON, and their definitions in SQL.

use super::{Event, Events};
use arrow_array::builder::{Int64Builder, StringBuilder, TimestampMillisecondBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use eddyline_core::{Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows that a batch of a Parquet file is written of.
const ROWS: usize = 50_000;
/// Rows of a row group.
const GROUP_ROWS: usize = 500_000;

fn failed(error: impl std::fmt::Display) -> Error {
    Error::storage(format!("the tables of Nexmark cannot be written: {error}"))
}

/// A column that is being made.
enum Column {
    Whole(Int64Builder),
    Text(StringBuilder),
    Time(TimestampMillisecondBuilder),
}

impl Column {
    fn whole(&mut self, value: u64) {
        if let Column::Whole(builder) = self {
            builder.append_value(value as i64);
        }
    }

    fn text(&mut self, value: &str) {
        if let Column::Text(builder) = self {
            builder.append_value(value);
        }
    }

    fn time(&mut self, value: i64) {
        if let Column::Time(builder) = self {
            builder.append_value(value);
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Column::Whole(builder) => Arc::new(builder.finish()),
            Column::Text(builder) => Arc::new(builder.finish()),
            Column::Time(builder) => Arc::new(builder.finish()),
        }
    }
}

/// A table: its name and columns with their types in SQL.
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [(&'static str, &'static str)],
}

/// The tables, in the order of [`Event`].
pub const TABLES: [Table; 3] = [
    Table {
        name: "person",
        columns: &[
            ("id", "BIGINT"),
            ("name", "STRING"),
            ("emailAddress", "STRING"),
            ("creditCard", "STRING"),
            ("city", "STRING"),
            ("state", "STRING"),
            ("dateTime", "TIMESTAMP(3)"),
            ("extra", "STRING"),
        ],
    },
    Table {
        name: "auction",
        columns: &[
            ("id", "BIGINT"),
            ("itemName", "STRING"),
            ("description", "STRING"),
            ("initialBid", "BIGINT"),
            ("reserve", "BIGINT"),
            ("dateTime", "TIMESTAMP(3)"),
            ("expires", "TIMESTAMP(3)"),
            ("seller", "BIGINT"),
            ("category", "BIGINT"),
            ("extra", "STRING"),
        ],
    },
    Table {
        name: "bid",
        columns: &[
            ("auction", "BIGINT"),
            ("bidder", "BIGINT"),
            ("price", "BIGINT"),
            ("channel", "STRING"),
            ("url", "STRING"),
            ("dateTime", "TIMESTAMP(3)"),
            ("extra", "STRING"),
        ],
    },
];

/// The statements that define the tables over files in `folder`.
pub fn definitions(folder: &Path, format: &str) -> String {
    let mut text = String::new();
    for table in &TABLES {
        let columns: Vec<String> =
            table.columns.iter().map(|(name, data_type)| format!("`{name}` {data_type}")).collect();
        text.push_str(&format!(
            "CREATE TABLE {} ({}, WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND) WITH ('connector' = \
             'filesystem', 'path' = '{}', 'format' = '{format}');\n",
            table.name,
            columns.join(", "),
            folder.join(table.name).display(),
        ));
    }
    text
}

/// The folder with the tables of so many events, written if they are not there.
///
/// # Errors
/// If they cannot be written.
pub fn folder(parent: &Path, events: u64, per_second: u64, format: &str) -> Result<PathBuf> {
    let folder = parent.join(format!("nexmark-{events}-{per_second}-{format}"));
    if folder.exists() {
        return Ok(folder);
    }
    let unfinished = folder.with_extension("unfinished");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).map_err(failed)?;
    }
    let drawn = (0..events).map(|number| Events { per_second }.event(number));
    match format {
        "json" => write_json(&unfinished, drawn)?,
        _ => write_parquet(&unfinished, drawn)?,
    }
    std::fs::rename(&unfinished, &folder).map_err(failed)?;
    Ok(folder)
}

struct ParquetTable {
    columns: Vec<Column>,
    names: Vec<&'static str>,
    rows: usize,
    path: PathBuf,
    writer: Option<ArrowWriter<File>>,
}

impl ParquetTable {
    fn new(folder: &Path, table: &Table) -> Result<Self> {
        let folder = folder.join(table.name);
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let column = |(_, data_type): &(&str, &str)| match *data_type {
            "BIGINT" => Column::Whole(Int64Builder::new()),
            "STRING" => Column::Text(StringBuilder::new()),
            _ => Column::Time(TimestampMillisecondBuilder::new()),
        };
        Ok(ParquetTable {
            columns: table.columns.iter().map(column).collect(),
            names: table.columns.iter().map(|(name, _)| *name).collect(),
            rows: 0,
            path: folder.join("part-0.parquet"),
            writer: None,
        })
    }

    fn end_row(&mut self) -> Result<()> {
        self.rows += 1;
        if self.rows == ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        let columns = self.names.iter().copied().zip(self.columns.iter_mut().map(Column::finish));
        let rows = RecordBatch::try_from_iter(columns).map_err(failed)?;
        self.rows = 0;
        if self.writer.is_none() {
            let properties = WriterProperties::builder()
                .set_compression(Compression::UNCOMPRESSED)
                .set_max_row_group_row_count(Some(GROUP_ROWS))
                .build();
            let file = File::create(&self.path).map_err(failed)?;
            self.writer = Some(ArrowWriter::try_new(file, rows.schema(), Some(properties)).map_err(failed)?);
        }
        match &mut self.writer {
            Some(writer) => writer.write(&rows).map_err(failed),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<()> {
        self.write()?;
        match self.writer {
            Some(writer) => writer.close().map(|_| ()).map_err(failed),
            None => Ok(()),
        }
    }
}

fn write_parquet(folder: &Path, events: impl Iterator<Item = Event>) -> Result<()> {
    let mut tables =
        TABLES.iter().map(|table| ParquetTable::new(folder, table)).collect::<Result<Vec<_>>>()?;
    for event in events {
        let number = match event {
            Event::Person(person) => {
                let columns = &mut tables[0].columns;
                columns[0].whole(person.id);
                let texts = [&person.name, &person.email, &person.credit_card, person.city, person.state];
                columns[1..6].iter_mut().zip(texts).for_each(|(column, text)| column.text(text));
                columns[6].time(person.time_ms);
                columns[7].text(&person.extra);
                0
            }
            Event::Auction(auction) => {
                let columns = &mut tables[1].columns;
                columns[0].whole(auction.id);
                columns[1].text(&auction.item);
                columns[2].text(&auction.description);
                columns[3].whole(auction.initial_bid);
                columns[4].whole(auction.reserve);
                columns[5].time(auction.time_ms);
                columns[6].time(auction.expires_ms);
                columns[7].whole(auction.seller);
                columns[8].whole(auction.category);
                columns[9].text(&auction.extra);
                1
            }
            Event::Bid(bid) => {
                let columns = &mut tables[2].columns;
                columns[0].whole(bid.auction);
                columns[1].whole(bid.bidder);
                columns[2].whole(bid.price);
                columns[3].text(&bid.channel);
                columns[4].text(&bid.url);
                columns[5].time(bid.time_ms);
                columns[6].text(&bid.extra);
                2
            }
        };
        tables[number].end_row()?;
    }
    tables.into_iter().try_for_each(ParquetTable::finish)
}

/// A moment as SQL writes it.
struct Moment(i64);

impl std::fmt::Display for Moment {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // All events lie in the month that begins at the first one.
        let ms = self.0 - super::BEGINNING_MS;
        let (day, ms_of_day) = (ms / 86_400_000, ms % 86_400_000);
        let (hour, minute) = (ms_of_day / 3_600_000, ms_of_day / 60_000 % 60);
        let (second, milli) = (ms_of_day / 1_000 % 60, ms_of_day % 1_000);
        write!(out, "2024-03-{:02} {hour:02}:{minute:02}:{second:02}.{milli:03}", day + 1)
    }
}

fn write_json(folder: &Path, events: impl Iterator<Item = Event>) -> Result<()> {
    let mut files = Vec::new();
    for table in &TABLES {
        let folder = folder.join(table.name);
        std::fs::create_dir_all(&folder).map_err(failed)?;
        files.push(BufWriter::new(File::create(folder.join("part-0.json")).map_err(failed)?));
    }
    for event in events {
        let written = match event {
            Event::Person(person) => writeln!(
                files[0],
                r#"{{"id":{},"name":"{}","emailAddress":"{}","creditCard":"{}","city":"{}","state":"{}","dateTime":"{}","extra":"{}"}}"#,
                person.id,
                person.name,
                person.email,
                person.credit_card,
                person.city,
                person.state,
                Moment(person.time_ms),
                person.extra
            ),
            Event::Auction(auction) => writeln!(
                files[1],
                r#"{{"id":{},"itemName":"{}","description":"{}","initialBid":{},"reserve":{},"dateTime":"{}","expires":"{}","seller":{},"category":{},"extra":"{}"}}"#,
                auction.id,
                auction.item,
                auction.description,
                auction.initial_bid,
                auction.reserve,
                Moment(auction.time_ms),
                Moment(auction.expires_ms),
                auction.seller,
                auction.category,
                auction.extra
            ),
            Event::Bid(bid) => writeln!(
                files[2],
                r#"{{"auction":{},"bidder":{},"price":{},"channel":"{}","url":"{}","dateTime":"{}","extra":"{}"}}"#,
                bid.auction,
                bid.bidder,
                bid.price,
                bid.channel,
                bid.url,
                Moment(bid.time_ms),
                bid.extra
            ),
        };
        written.map_err(failed)?;
    }
    files.into_iter().try_for_each(|mut file| file.flush().map_err(failed))
}
