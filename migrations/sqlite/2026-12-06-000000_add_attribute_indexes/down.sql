DROP TRIGGER users_attributes_deleted;
DROP TRIGGER users_attributes_after;
DROP TRIGGER users_attributes_before;
DROP TRIGGER users_attributes_inserted;
DROP VIEW user_attribute_values;
DROP TABLE user_attributes;
DROP TABLE attribute_indexes;
