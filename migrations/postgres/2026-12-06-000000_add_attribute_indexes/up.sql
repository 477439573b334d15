-- What lists can be filtered by: the text of one attribute, if it is a string, a number or a boolean of at most 255 characters.
-- The service makes an index of it for each name in ATTRIBUTES_INDEXED, so nothing here takes long.
-- STRICT: users without attributes cost no call. PL/pgSQL: a function in SQL is planned anew for each row that an index takes in.
-- It is not parallel safe, because it has an exception block.
CREATE OR REPLACE FUNCTION user_attribute(attributes TEXT, name TEXT) RETURNS TEXT
    LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    member JSON;
    value TEXT;
BEGIN
    -- Not jsonb, which writes numbers in its own way.
    member := attributes::JSON -> name;
    value := member #>> '{}';
    RETURN CASE WHEN json_typeof(member) IN ('string', 'number', 'boolean') AND char_length(value) <= 255 THEN value END;
EXCEPTION WHEN data_exception THEN
    -- An operator can store anything. It must fail neither the index nor, later, the operator's statements.
    RETURN NULL;
END $$;
