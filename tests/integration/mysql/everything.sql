CREATE TABLE customers (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(80) CHARACTER SET latin1 NOT NULL,
  note TEXT, photo BLOB, score FLOAT, exact DOUBLE, price DECIMAL(20,6),
  born DATE, seen TIMESTAMP NULL, at DATETIME(6), flags SET('a','b'), state ENUM('new','old'),
  doc JSON, bits BIT(9), place POINT SRID 4326, shape GEOMETRY, mail VARCHAR(50) COLLATE utf8mb4_0900_as_cs,
  twice DECIMAL(21,6) GENERATED ALWAYS AS (price * 2) VIRTUAL, kept VARCHAR(90) AS (CONCAT(name, '!')) STORED,
  secret INT INVISIBLE DEFAULT 7,
  UNIQUE KEY by_name (name), FULLTEXT KEY words (note), KEY lowered ((LOWER(mail))), KEY unseen (mail) INVISIBLE,
  KEY backwards (born DESC), KEY tags ((CAST(doc->'$.a' AS UNSIGNED ARRAY))),
  CONSTRAINT not_long CHECK (CHAR_LENGTH(name) < 70), CHECK (price >= 0) NOT ENFORCED
) ENGINE=InnoDB COMMENT='people; "quoted" ''text'' \\ and `ticks`';
INSERT INTO customers (name, note, photo, score, exact, price, born, seen, at, flags, state, doc, bits, place, shape, mail, secret)
VALUES
 ('Ana', 'it''s "so" \\ \n 日本語 🎉', 0x00FF0D0A1A27, 1.5, 1/3, 12.345678, '2000-02-29', '2026-03-29 01:30:00', '2026-01-01 00:00:00.123456', 'a,b', 'old', '{"a": [1, 2], "b": 2.5}', b'101010101', ST_GeomFromText('POINT(1 2)', 4326), ST_GeomFromText('LINESTRING(0 0,1 1)'), 'Ana@X', 8),
 ('Jörg', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', 'new', NULL, NULL, NULL, NULL, NULL, NULL),
 ('', '-- Dump completed', 0x5C2120, 0, -0.0, 0, '1000-01-01', NULL, NULL, NULL, NULL, '{"a": [3]}', 0, NULL, NULL, 'ana@x', 9);
CREATE TABLE orders (
  id INT PRIMARY KEY, customer BIGINT UNSIGNED NOT NULL, amount DECIMAL(10,2), audited INT DEFAULT 0,
  FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE, CHECK (amount >= 0)
);
INSERT INTO orders (id, customer, amount) WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 500) SELECT n, 1 + n MOD 2, n / 7 FROM s;
CREATE TABLE parts (id INT PRIMARY KEY, x INT) PARTITION BY RANGE (id)
 (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE);
INSERT INTO parts VALUES (1, 1), (20, 20);
CREATE TABLE old_engine (x INT) ENGINE=MyISAM;
INSERT INTO old_engine VALUES (1), (2);
CREATE TABLE `odd ``name"; --` (`a b` INT, `select` INT);
INSERT INTO `odd ``name"; --` VALUES (1, NULL), (1, NULL);
CREATE TABLE empty_one (x INT);
GRANT SELECT, INSERT ON {db}.* TO app@'%';
CREATE VIEW z_orders_view AS SELECT customer, amount FROM orders;
CREATE DEFINER=app@'%' VIEW a_sums AS SELECT customer, SUM(amount) AS total FROM z_orders_view GROUP BY customer;
CREATE DEFINER=root@'10.9.8.7' VIEW nested AS SELECT total FROM a_sums;
CREATE SQL SECURITY INVOKER VIEW rich AS SELECT name FROM customers WHERE score > 1 WITH CHECK OPTION;
CREATE DEFINER=app@'%' TRIGGER audit_1 BEFORE INSERT ON orders FOR EACH ROW SET NEW.audited = 1;
CREATE DEFINER=app@'%' TRIGGER audit_2 BEFORE INSERT ON orders FOR EACH ROW FOLLOWS audit_1 SET NEW.audited = NEW.audited + 1;
CREATE DEFINER=app@'%' PROCEDURE close_day(IN d DATE) COMMENT 'ends; a day' BEGIN DECLARE n INT; SELECT COUNT(*) INTO n FROM orders; END;
CREATE DEFINER=app@'%' FUNCTION greet(who VARCHAR(20)) RETURNS VARCHAR(40) DETERMINISTIC SQL SECURITY INVOKER RETURN CONCAT('grüß ', who);
CREATE DEFINER=app@'%' EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 03:00:00' ON COMPLETION PRESERVE COMMENT 'x' DO DELETE FROM orders WHERE amount < 0;
CREATE EVENT paused ON SCHEDULE AT '2037-01-01 00:00:00' DISABLE DO SELECT 1;
GRANT SELECT (id, name), UPDATE (note) ON {db}.customers TO reader@localhost WITH GRANT OPTION;
GRANT EXECUTE ON PROCEDURE {db}.close_day TO reader@localhost;
GRANT ALL PRIVILEGES ON {db}.* TO owner;
GRANT owner, helper TO member@'10.0.0.%' WITH ADMIN OPTION;
SET DEFAULT ROLE owner, helper TO member@'10.0.0.%';
GRANT PROCESS ON *.* TO app@'%'
