-- With the indexes that the service has made.
DROP FUNCTION user_attribute CASCADE;
