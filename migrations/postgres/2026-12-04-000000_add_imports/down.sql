DROP TABLE import_failures;
DROP TABLE imports;
