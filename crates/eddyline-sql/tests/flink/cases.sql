CREATE TABLE small (a INT, b BIGINT, c STRING) WITH ('connector'='filesystem','path'='${DATA}/case_small.csv','format'='csv');
CREATE TABLE t3 (a INT, b BIGINT, c STRING) WITH ('connector'='filesystem','path'='${DATA}/case_t3.csv','format'='csv');
CREATE TABLE t5 (d INT, e BIGINT, f INT, g STRING, h BIGINT) WITH ('connector'='filesystem','path'='${DATA}/case_t5.csv','format'='csv');
CREATE TABLE n3 (a INT, b BIGINT, c STRING) WITH ('connector'='filesystem','path'='${DATA}/case_n3.csv','format'='csv','csv.null-literal'='');
CREATE TABLE ev (ts STRING, i INT, dbl DOUBLE, flt FLOAT, bigdec DECIMAL(10,2), s STRING, name STRING, rowtime AS TO_TIMESTAMP(ts), proc AS PROCTIME(), WATERMARK FOR rowtime AS rowtime - INTERVAL '1' SECOND) WITH ('connector'='filesystem','path'='${DATA}/case_ev.csv','format'='csv','csv.null-literal'='');
CREATE TABLE ev2 (ts STRING, i INT, name STRING, tag STRING, rowtime AS TO_TIMESTAMP(ts), WATERMARK FOR rowtime AS rowtime - INTERVAL '1' SECOND) WITH ('connector'='filesystem','path'='${DATA}/case_ev2.csv','format'='csv','csv.null-literal'='');
CREATE TABLE log (a INT, b BIGINT, c STRING, d INT, PRIMARY KEY (a) NOT ENFORCED) WITH ('connector'='filesystem','path'='${DATA}/case_log.json','format'='debezium-json');
CREATE TABLE log2 (k INT, b INT, w DECIMAL(5,2), `at` TIMESTAMP(3), WATERMARK FOR `at` AS `at` - INTERVAL '5' SECOND, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector'='filesystem','path'='${DATA}/case_log2.json','format'='canal-json');
CREATE TABLE nested (id INT, arr ARRAY<INT>, tags ARRAY<STRING>, nest ARRAY<ROW<n INT, s STRING>>, m MAP<STRING, INT>, r ROW<p ROW<q STRING, v INT>, z ARRAY<INT>>) WITH ('connector'='filesystem','path'='${DATA}/case_nested.json','format'='json');
