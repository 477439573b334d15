use super::database::Connection;

/// The two tables hold on SQLite what are indexes by expression on PostgreSQL.
const SQLITE_COLUMNS: &str = r#"
    SELECT t.name || '.' || c.name
        || ' ' || CASE WHEN upper(c.type) = 'INTEGER' THEN 'BIGINT' ELSE upper(c.type) END
        || CASE WHEN c."notnull" OR c.pk THEN ' NOT NULL' ELSE '' END
        || CASE WHEN c.pk THEN ' PRIMARY KEY' ELSE coalesce(' DEFAULT ' || upper(c.dflt_value), '') END AS fact
    FROM sqlite_schema t JOIN pragma_table_info(t.name) c
    WHERE t.type = 'table' AND t.name NOT GLOB 'sqlite_*'
        AND t.name NOT IN ('__diesel_schema_migrations', 'attribute_indexes', 'user_attributes')"#;

const SQLITE_INDEXES: &str = r#"
    SELECT t.name || CASE WHEN i."unique" THEN ' UNIQUE (' ELSE ' INDEX (' END
        || (SELECT group_concat(coalesce(k.name, 'expression'), ', ' ORDER BY k.seqno) FROM pragma_index_info(i.name) k)
        || ')' || CASE WHEN i.partial THEN ' PARTIAL' ELSE '' END AS fact
    FROM sqlite_schema t JOIN pragma_index_list(t.name) i
    WHERE t.type = 'table' AND i.origin <> 'pk' AND t.name <> '__diesel_schema_migrations'"#;

const POSTGRES_COLUMNS: &str = "
    SELECT t.relname || '.' || a.attname
        || ' ' || CASE a.atttypid WHEN 'timestamp'::regtype THEN 'TIMESTAMP' WHEN 'bytea'::regtype THEN 'BLOB'
                                  ELSE upper(format_type(a.atttypid, a.atttypmod)) END
        || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
        || CASE WHEN p.indrelid IS NOT NULL THEN ' PRIMARY KEY'
                ELSE coalesce(' DEFAULT ' || upper(split_part(pg_get_expr(d.adbin, d.adrelid), '::', 1)), '') END AS fact
    FROM pg_class t
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
    LEFT JOIN pg_index p ON p.indrelid = t.oid AND p.indisprimary AND a.attnum = ANY (p.indkey)
    WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p')
        AND t.relname <> '__diesel_schema_migrations'";

const POSTGRES_INDEXES: &str = "
    SELECT t.relname || CASE WHEN i.indisunique THEN ' UNIQUE (' ELSE ' INDEX (' END
        || string_agg(coalesce(a.attname, 'expression'), ', ' ORDER BY k.place)
        || ')' || CASE WHEN i.indpred IS NOT NULL THEN ' PARTIAL' ELSE '' END AS fact
    FROM pg_index i
    JOIN pg_class t ON t.oid = i.indrelid
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (number, place)
    LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number
    WHERE t.relnamespace = 'public'::regnamespace AND NOT i.indisprimary
        AND t.relname <> '__diesel_schema_migrations'
    GROUP BY t.relname, i.indexrelid, i.indisunique, i.indpred IS NOT NULL";

/// The columns and indexes of a schema, in words that are the same for both databases.
#[derive(Debug, PartialEq, Eq)]
pub struct SchemaFacts(pub Vec<String>);

impl SchemaFacts {
    pub fn of(connection: &mut Connection) -> Self {
        let queries = match connection {
            Connection::Sqlite(_) => [SQLITE_COLUMNS, SQLITE_INDEXES],
            Connection::Postgres(_) => [POSTGRES_COLUMNS, POSTGRES_INDEXES],
        };
        let mut facts: Vec<String> = queries.into_iter().flat_map(|query| connection.facts(query)).collect();
        facts.sort();
        Self(facts)
    }
}
