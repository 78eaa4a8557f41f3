CREATE TABLE orders (id BIGINT, k STRING, n INT, price DECIMAL(10,2), ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) WITH ('connector'='filesystem','path'='${DATA}/orders.csv','format'='csv','csv.null-literal'='');
CREATE TABLE ship (oid BIGINT, how STRING, st TIMESTAMP(3), WATERMARK FOR st AS st) WITH ('connector'='filesystem','path'='${DATA}/ship.csv','format'='csv');
CREATE TABLE cdc (id BIGINT, cat STRING, amt INT, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector'='filesystem','path'='${DATA}/cdc.json','format'='debezium-json');
