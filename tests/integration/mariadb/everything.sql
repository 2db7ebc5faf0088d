CREATE TABLE customers (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(80) CHARACTER SET latin1 NOT NULL,
  note TEXT, photo BLOB, score FLOAT, exact DOUBLE, price DECIMAL(20,6),
  born DATE, seen TIMESTAMP NULL, at DATETIME(6), flags SET('a','b'), state ENUM('new','old'),
  doc JSON, bits BIT(9), place POINT, ip INET6, token UUID,
  twice BIGINT GENERATED ALWAYS AS (id * 2) VIRTUAL, kept VARCHAR(90) AS (CONCAT(name, '!')) PERSISTENT,
  UNIQUE KEY by_name (name), FULLTEXT KEY words (note)
) ENGINE=InnoDB COMMENT='people; "quoted" ''text'' \\ and `ticks`';
INSERT INTO customers (name, note, photo, score, exact, price, born, seen, at, flags, state, doc, bits, place, ip, token)
VALUES
 ('Ana', 'it''s "so" \\ \n 日本語 🎉', 0x00FF0D0A1A27, 1.5, 1/3, 12.345678, '2000-02-29', '2026-03-29 01:30:00', '2026-01-01 00:00:00.123456', 'a,b', 'old', '{"a": [1, null]}', b'101010101', POINT(1, 2), 'fe80::1', '123e4567-e89b-12d3-a456-426655440000'),
 ('Jörg', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', 'new', NULL, NULL, NULL, NULL, NULL),
 ('', '-- Dump completed', 0x5C2120, 0, -0.0, 0, '0001-01-01', NULL, NULL, NULL, NULL, '""', 0, NULL, NULL, NULL);
CREATE TABLE orders (
  id INT PRIMARY KEY, customer BIGINT UNSIGNED NOT NULL, amount DECIMAL(10,2), audited INT DEFAULT 0,
  FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE, CHECK (amount >= 0)
);
INSERT INTO orders (id, customer, amount) SELECT seq, 1 + seq MOD 2, seq / 7 FROM seq_1_to_500;
CREATE TABLE parts (id INT PRIMARY KEY, x INT) PARTITION BY RANGE (id)
 (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE);
INSERT INTO parts SELECT seq, seq FROM seq_1_to_20;
CREATE TABLE prices (item INT, price INT) WITH SYSTEM VERSIONING;
INSERT INTO prices VALUES (1, 10);
UPDATE prices SET price = 20;
CREATE TABLE old_engine (x INT) ENGINE=MyISAM;
INSERT INTO old_engine VALUES (1), (2);
CREATE TABLE `odd ``name"; --` (`a b` INT, `select` INT);
INSERT INTO `odd ``name"; --` VALUES (1, NULL), (1, NULL);
CREATE TABLE empty_one (x INT);
CREATE SEQUENCE numbers START WITH 100 INCREMENT BY 5;
SELECT NEXT VALUE FOR numbers;
CREATE TABLE tickets (no INT NOT NULL DEFAULT NEXT VALUE FOR numbers COMMENT ' DEFAULT nextval(`{db}`.`numbers`)',
  `so, on` INT DEFAULT (NEXT VALUE FOR numbers + 1), text VARCHAR(200) DEFAULT 'nextval(`', kind ENUM(' DEFAULT nextval(', 'b'));
INSERT INTO tickets (text) VALUES ('
CREATE TABLE `x` (
  `no` int(11) DEFAULT nextval(`{db}`.`numbers`)
)');
GRANT SELECT, INSERT ON {db}.* TO app@'%';
CREATE VIEW z_orders_view AS SELECT customer, amount FROM orders;
CREATE DEFINER=app@'%' VIEW a_sums AS SELECT customer, SUM(amount) AS total FROM z_orders_view GROUP BY customer;
CREATE DEFINER=root@'10.9.8.7' VIEW nested AS SELECT total FROM a_sums;
CREATE SQL SECURITY INVOKER VIEW rich AS SELECT name FROM customers WHERE score > 1 WITH CHECK OPTION;
CREATE DEFINER=app@'%' TRIGGER audit_1 BEFORE INSERT ON orders FOR EACH ROW SET NEW.audited = 1;
CREATE DEFINER=app@'%' TRIGGER audit_2 BEFORE INSERT ON orders FOR EACH ROW FOLLOWS audit_1 SET NEW.audited = NEW.audited + 1;
CREATE DEFINER=app@'%' PROCEDURE close_day(IN d DATE) COMMENT 'ends; a day' BEGIN DECLARE n INT; SELECT COUNT(*) INTO n FROM orders; END;
CREATE DEFINER=owner FUNCTION greet(who VARCHAR(20)) RETURNS VARCHAR(40) DETERMINISTIC RETURN CONCAT('grüß ', who);
CREATE DEFINER=app@'%' EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 03:00:00' ON COMPLETION PRESERVE COMMENT 'x' DO DELETE FROM orders WHERE amount < 0;
CREATE EVENT paused ON SCHEDULE AT '2040-01-01 00:00:00' DISABLE DO SELECT 1;
GRANT SELECT (id, name), UPDATE (note) ON {db}.customers TO reader@localhost WITH GRANT OPTION;
GRANT EXECUTE ON PROCEDURE {db}.close_day TO reader@localhost;
GRANT ALL PRIVILEGES ON {db}.* TO owner;
GRANT owner TO member@'10.0.0.%' WITH ADMIN OPTION;
GRANT DELETE ON {db}.* TO PUBLIC;
SET DEFAULT ROLE owner FOR member@'10.0.0.%';
GRANT PROCESS ON *.* TO app@'%'
