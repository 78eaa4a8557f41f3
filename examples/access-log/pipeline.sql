-- The figures of `eddyline logs`, in SQL: what is read, counted and kept of a web server's access log.
--
--   eddyline sql -f pipeline.sql --output json                  final figures, as they are after the last line
--   eddyline sql -f pipeline.sql --mode batch --output json     the same, computed once
--
-- Reads `access.log` in the current directory (Common or Combined Log Format) and writes JSON lines below `results`:
-- requests and bytes per minute and status, the most frequent paths of each hour, and the sessions of visitors.

-- Every line, whatever it says.
CREATE TABLE raw_lines (line STRING)
WITH ('connector' = 'filesystem', 'path' = 'access.log', 'format' = 'raw');

-- The fields of those that look like accesses. A line may be a minute late.
CREATE TABLE parsed (
  host STRING,
  `time` TIMESTAMP_LTZ(3),
  request STRING,
  path STRING,
  status INT,
  bytes BIGINT,
  page AS COALESCE(REGEXP_EXTRACT(path, '^[^?#]*', 0), request, '-'),
  WATERMARK FOR `time` AS `time` - INTERVAL '60' SECOND
) WITH (
  'connector' = 'filesystem', 'path' = 'access.log',
  'format' = 'log', 'log.format' = 'combined', 'log.ignore-parse-errors' = 'true'
);

-- A line whose time or status makes no sense is none.
CREATE VIEW accesses AS SELECT * FROM parsed WHERE `time` IS NOT NULL AND status IS NOT NULL;

CREATE VIEW minutes AS
SELECT window_start, status, COUNT(*) AS requests, SUM(COALESCE(bytes, 0)) AS bytes
FROM TABLE(TUMBLE(TABLE accesses, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, status;

-- A visitor who pauses for more than half an hour begins a new session.
CREATE VIEW sessions AS
SELECT host, MIN(`time`) AS session_start, MAX(`time`) AS session_end, COUNT(*) AS requests,
  SUM(COALESCE(bytes, 0)) AS bytes
FROM TABLE(SESSION(TABLE accesses PARTITION BY host, DESCRIPTOR(`time`), INTERVAL '30' MINUTE))
GROUP BY window_start, window_end, host;

CREATE VIEW top_paths AS
SELECT window_start, place, page, requests
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY requests DESC, page) AS place
  FROM (
    SELECT window_start, window_end, page, COUNT(*) AS requests
    FROM TABLE(TUMBLE(TABLE accesses, DESCRIPTOR(`time`), INTERVAL '1' HOUR))
    GROUP BY window_start, window_end, page
  )
)
WHERE place <= 10;

CREATE TABLE kept_minutes (window_start TIMESTAMP(3), status INT, requests BIGINT, bytes BIGINT)
WITH ('connector' = 'filesystem', 'path' = 'results/minutes', 'format' = 'json');
CREATE TABLE kept_sessions (
  host STRING, session_start TIMESTAMP_LTZ(3), session_end TIMESTAMP_LTZ(3), requests BIGINT, bytes BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'results/sessions', 'format' = 'json');
CREATE TABLE kept_paths (window_start TIMESTAMP(3), place BIGINT, page STRING, requests BIGINT)
WITH ('connector' = 'filesystem', 'path' = 'results/paths', 'format' = 'json');

EXECUTE STATEMENT SET BEGIN
  INSERT INTO kept_minutes SELECT * FROM minutes;
  INSERT INTO kept_sessions SELECT * FROM sessions;
  INSERT INTO kept_paths SELECT * FROM top_paths;
END;

-- The summary.
SELECT l.`lines`, l.`lines` - a.requests AS unparsed, a.bytes, s.sessions
FROM (SELECT COUNT(*) AS `lines` FROM raw_lines) AS l,
  (SELECT COUNT(*) AS requests, SUM(COALESCE(bytes, 0)) AS bytes FROM accesses) AS a,
  (SELECT COUNT(*) AS sessions FROM sessions) AS s;
