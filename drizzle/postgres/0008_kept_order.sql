-- Keeps the content of a file that gets other bytes as a version, of which the file has _keep_versions at most. Its blob becomes discarded
-- instead if the bytes are the same or nothing is kept. Returns the bytes that are kept more than before.
CREATE OR REPLACE FUNCTION keep_version(_file files, _size bigint, _sha256 text, _kept_at bigint, _keep_milliseconds bigint, _keep_versions bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  _surplus kept;
  _bytes bigint := _file.size;
BEGIN
  IF _keep_milliseconds = 0 OR _keep_versions = 0 OR (_file.size = _size AND _file.sha256 = _sha256) THEN
    INSERT INTO discarded_blobs (blob_id, discarded_at) VALUES (_file.blob_id, clock_milliseconds());
    RETURN 0;
  END IF;
  -- Later than all other versions, also if the clock was set back. Of a file that exists only versions are kept.
  _kept_at := greatest(_kept_at, (SELECT max(kept_at) + 1 FROM kept WHERE file_id = _file.id));
  INSERT INTO kept (id, owner_id, file_id, size, type, sha256, stored_at, kept_at)
    VALUES (_file.blob_id, _file.owner_id, _file.id, _file.size, _file.type, _file.sha256, _file.stored_at, _kept_at);
  FOR _surplus IN SELECT * FROM kept WHERE file_id = _file.id AND name IS NULL ORDER BY kept_at DESC, id DESC OFFSET _keep_versions
  LOOP
    _bytes := _bytes - drop_kept(_surplus);
  END LOOP;
  RETURN _bytes;
END
$$;
--> statement-breakpoint
-- Deletes a file; _judged as in store_file. _is_kept: it goes to the trash; otherwise its versions are deleted too.
CREATE OR REPLACE FUNCTION remove_file(_owner_id bigint, _name text, _judged text, _is_kept boolean DEFAULT false, _now bigint DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
DECLARE
  _current files;
  _kept bigint;
  _kept_at bigint;
BEGIN
  PERFORM FROM accounts WHERE id = _owner_id FOR NO KEY UPDATE;
  SELECT * INTO _current FROM files WHERE owner_id = _owner_id AND name = _name;
  IF NOT FOUND THEN RETURN 'not_found'; END IF;
  IF _judged <> _current.blob_id THEN RETURN 'changed'; END IF;
  IF _is_kept THEN
    _kept_at := greatest(_current.updated_at, coalesce(_now, clock_milliseconds()));
    -- Later than the rest of the trash, except what is a day ahead or more (FURTHEST_AHEAD_MILLISECONDS in src/metadata/kept.ts). In a burst of
    -- deletions, many in one millisecond, it runs ahead of the clock.
    _kept_at := greatest(_kept_at, (SELECT max(kept_at) + 1 FROM kept WHERE owner_id = _owner_id AND name IS NOT NULL AND kept_at < _kept_at + 86400000));
    INSERT INTO kept (id, owner_id, file_id, name, size, type, sha256, stored_at, created_at, kept_at)
      VALUES (_current.blob_id, _owner_id, _current.id, _name, _current.size, _current.type, _current.sha256, _current.stored_at, _current.created_at, _kept_at);
    _kept := _current.size;
  ELSE
    INSERT INTO discarded_blobs (blob_id, discarded_at) VALUES (_current.blob_id, clock_milliseconds());
    SELECT -coalesce(sum(drop_kept(kept)), 0) INTO _kept FROM kept WHERE file_id = _current.id;
  END IF;
  DELETE FROM files WHERE id = _current.id;
  UPDATE accounts SET used_bytes = used_bytes - _current.size, used_files = used_files - 1, kept_bytes = kept_bytes + _kept WHERE id = _owner_id;
  RETURN 'removed';
END
$$;
