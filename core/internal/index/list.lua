
-- list: what the user has.
return list()
