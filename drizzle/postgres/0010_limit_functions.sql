-- Deletes kept content of an owner whose row is locked. The blobs become discarded. Returns the bytes, which the caller takes off those of the owner.
CREATE FUNCTION discard_kept(_owner_id bigint, _ids text[]) RETURNS bigint LANGUAGE sql AS $$
  WITH dropped AS (DELETE FROM kept WHERE id = ANY (_ids) RETURNING id, size),
    discarded AS (INSERT INTO discarded_blobs (blob_id, discarded_at) SELECT id, clock_milliseconds() FROM dropped),
    counted AS (UPDATE accounts SET kept_contents = kept_contents - (SELECT count(*) FROM dropped) WHERE id = _owner_id AND _ids <> '{}')
    SELECT coalesce(sum(size), 0)::bigint FROM dropped
$$;
--> statement-breakpoint
-- Deletes kept content of owners whose rows are locked, deleted files with their versions, and updates their usage. Returns its bytes.
CREATE OR REPLACE FUNCTION remove_kept(_ids text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  _bytes bigint;
BEGIN
  _ids := _ids || ARRAY(SELECT id FROM kept WHERE file_id = ANY (ARRAY(SELECT file_id FROM kept WHERE id = ANY (_ids) AND name IS NOT NULL)));
  WITH dropped AS (DELETE FROM kept WHERE id = ANY (_ids) RETURNING id, owner_id, size),
    discarded AS (INSERT INTO discarded_blobs (blob_id, discarded_at) SELECT id, clock_milliseconds() FROM dropped),
    charged AS (
      UPDATE accounts SET kept_bytes = kept_bytes - bytes, kept_contents = kept_contents - contents
      FROM (SELECT owner_id, sum(size)::bigint AS bytes, count(*) AS contents FROM dropped GROUP BY owner_id) owners WHERE accounts.id = owners.owner_id)
    SELECT coalesce(sum(size), 0) INTO _bytes FROM dropped;
  RETURN _bytes;
END
$$;
--> statement-breakpoint
DROP FUNCTION drop_kept(kept);
--> statement-breakpoint
-- The longest-kept content of an owner, without that of the blob _newest, and deleted files with their versions: so much that it has _bytes, without
-- empty content, or that it is _contents. _seen: how many were looked at, apart from versions of deleted files; _most at most.
CREATE FUNCTION oldest_kept(_owner_id bigint, _newest text, _bytes bigint, _contents bigint, _most bigint, OUT ids text[], OUT freed bigint, OUT seen bigint)
LANGUAGE plpgsql AS $$
DECLARE
  _content kept;
  _theirs text[] := '{}';
  _added text[];
  _size bigint;
BEGIN
  ids := '{}';
  freed := 0;
  seen := 0;
  FOR _content IN SELECT * FROM kept
    WHERE owner_id = _owner_id AND (size > 0 OR _bytes IS NULL) AND id IS DISTINCT FROM _newest ORDER BY kept_at, id LIMIT _most
  LOOP
    EXIT WHEN freed >= _bytes OR cardinality(ids) + cardinality(_theirs) >= _contents;
    seen := seen + 1;
    CONTINUE WHEN _content.id = ANY (_theirs);
    ids := ids || _content.id;
    freed := freed + _content.size;
    IF _content.name IS NOT NULL THEN
      -- Versions that are older than the deleted file are among the ids already, unless they are empty.
      SELECT array_agg(id), sum(size) INTO _added, _size FROM (
        SELECT id, size FROM kept WHERE file_id = _content.file_id AND (kept_at, id) > (_content.kept_at, _content.id)
        UNION ALL
        SELECT id, size FROM kept WHERE file_id = _content.file_id AND (kept_at, id) < (_content.kept_at, _content.id) AND size = 0 AND _bytes IS NOT NULL) versions;
      _theirs := _theirs || coalesce(_added, '{}');
      freed := freed + coalesce(_size, 0);
    END IF;
  END LOOP;
  ids := ids || _theirs;
END
$$;
--> statement-breakpoint
DROP FUNCTION make_room(bigint, bigint, text);
--> statement-breakpoint
-- Deletes the longest-kept content of an owner until _bytes are free, that of the blob _newest last. Returns the bytes, as discard_kept.
-- If these are more than _most contents, it fails with MS001, and the whole statement is undone: remove_oldest_kept is to be called first.
CREATE FUNCTION make_room(_owner_id bigint, _bytes bigint, _newest text, _most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  _oldest record;
BEGIN
  SELECT * INTO _oldest FROM oldest_kept(_owner_id, _newest, _bytes, NULL, _most);
  IF _oldest.freed < _bytes AND _oldest.seen = _most THEN
    RAISE EXCEPTION 'more kept content must be deleted first' USING ERRCODE = 'MS001', DETAIL = _owner_id;
  END IF;
  IF _oldest.freed < _bytes THEN
    RETURN discard_kept(_owner_id, _oldest.ids || ARRAY(SELECT id FROM kept WHERE id = _newest AND size > 0));
  END IF;
  RETURN discard_kept(_owner_id, _oldest.ids);
END
$$;
--> statement-breakpoint
-- Deletes as much of the longest-kept content of an owner as one statement does.
CREATE FUNCTION remove_oldest_kept(_owner_id bigint, _most bigint) RETURNS void LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
DECLARE
  _bytes bigint;
BEGIN
  PERFORM FROM accounts WHERE id = _owner_id FOR NO KEY UPDATE;
  SELECT discard_kept(_owner_id, ids) INTO _bytes FROM oldest_kept(_owner_id, NULL, 9223372036854775807, NULL, _most);
  UPDATE accounts SET kept_bytes = kept_bytes - _bytes WHERE id = _owner_id;
END
$$;
--> statement-breakpoint
-- Deletes the oldest of what an owner keeps beyond _max_contents, but _most at most, and not that of the blob _newest. Returns the bytes, as discard_kept.
CREATE FUNCTION trim_kept(_owner_id bigint, _newest text, _max_contents bigint, _most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  _surplus bigint;
BEGIN
  IF _max_contents IS NULL THEN RETURN 0; END IF;
  -- 100 is MAX_TRIMMED in src/metadata/kept.ts.
  SELECT least(kept_contents - _max_contents, _most, 100) INTO _surplus FROM accounts WHERE id = _owner_id;
  IF _surplus <= 0 THEN RETURN 0; END IF;
  RETURN discard_kept(_owner_id, ids) FROM oldest_kept(_owner_id, _newest, NULL, _surplus, _surplus);
END
$$;
--> statement-breakpoint
DROP FUNCTION make_room_for_uploads(bigint, bigint);
--> statement-breakpoint
-- Deletes the longest-kept content of an owner that exceeds a quota together with the files and the bytes of uploads that have arrived.
CREATE FUNCTION make_room_for_uploads(_owner_id bigint, _max_bytes bigint, _most bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  _account accounts;
  _excess bigint;
BEGIN
  IF _max_bytes IS NULL THEN RETURN; END IF;
  SELECT * INTO _account FROM accounts WHERE id = _owner_id;
  -- Usually nothing is kept: then nothing is summed.
  IF _account.kept_bytes = 0 THEN RETURN; END IF;
  SELECT _account.used_bytes + _account.kept_bytes + received - _max_bytes INTO _excess FROM reserved_by_uploads(_owner_id, NULL);
  IF _excess <= 0 THEN RETURN; END IF;
  _excess := make_room(_owner_id, _excess, NULL, _most);
  UPDATE accounts SET kept_bytes = kept_bytes - _excess WHERE id = _owner_id;
END
$$;
--> statement-breakpoint
-- Keeps the content of a file that gets other bytes as a version, of which the file has _keep_versions at most. Its blob becomes discarded
-- instead if the bytes are the same or nothing is kept. Returns the bytes that are kept more than before.
CREATE OR REPLACE FUNCTION keep_version(_file files, _size bigint, _sha256 text, _kept_at bigint, _keep_milliseconds bigint, _keep_versions bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
  IF _keep_milliseconds = 0 OR _keep_versions = 0 OR (_file.size = _size AND _file.sha256 = _sha256) THEN
    INSERT INTO discarded_blobs (blob_id, discarded_at) VALUES (_file.blob_id, clock_milliseconds());
    RETURN 0;
  END IF;
  -- Later than all other versions, also if the clock was set back. Of a file that exists only versions are kept.
  _kept_at := greatest(_kept_at, (SELECT max(kept_at) + 1 FROM kept WHERE file_id = _file.id));
  INSERT INTO kept (id, owner_id, file_id, size, type, sha256, stored_at, kept_at)
    VALUES (_file.blob_id, _file.owner_id, _file.id, _file.size, _file.type, _file.sha256, _file.stored_at, _kept_at);
  UPDATE accounts SET kept_contents = kept_contents + 1 WHERE id = _file.owner_id;
  RETURN _file.size - discard_kept(_file.owner_id, ARRAY(
    SELECT id FROM kept WHERE file_id = _file.id AND name IS NULL ORDER BY kept_at DESC, id DESC OFFSET _keep_versions));
END
$$;
--> statement-breakpoint
-- Null, the default of the new parameters, sets no limit: so processes of the version before go on as they did.
DROP FUNCTION store_file(bigint, text, bigint, text, text, text, bigint, bigint, bigint, boolean, boolean, text, boolean, text, bigint, bigint);
--> statement-breakpoint
-- Adds a file, or with _replaces also replaces one. The lock on the owner's row makes names, quotas and conditions exact.
-- _judged: the blob of the file that the caller judged a precondition against, 'none' if there was no file, null if there is no
-- precondition. Nothing is changed before the last check has passed, so an outcome that is a failure needs no rollback.
-- _upload_id: the upload that becomes the file, and whose reservation the file takes.
-- Files and reservations decide about a quota. What is kept makes room: it counts, as do the bytes of uploads that have arrived.
-- _max_contents: kept contents of an owner at most. _most: how many of them are deleted at most.
CREATE FUNCTION store_file(
  _owner_id bigint, _name text, _size bigint, _type text, _sha256 text, _blob_id text, _now bigint,
  _max_bytes bigint, _max_files bigint, _is_leased boolean, _replaces boolean, _judged text, _is_repeated boolean, _upload_id text DEFAULT NULL,
  _keep_milliseconds bigint DEFAULT 0, _keep_versions bigint DEFAULT 0, _max_contents bigint DEFAULT NULL, _most bigint DEFAULT NULL,
  OUT outcome text, OUT used bigint, OUT added bigint, OUT file files
) LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
DECLARE
  _used_bytes bigint;
  _used_files bigint;
  _occupied bigint;
  _kept bigint := 0;
  _current files;
  _is_new boolean;
BEGIN
  SELECT used_bytes, used_files, used_bytes + kept_bytes INTO _used_bytes, _used_files, _occupied
    FROM accounts WHERE id = _owner_id AND removed_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN outcome := 'not_found'; RETURN; END IF;
  -- After the wait for the lock, so that a later change has a later time.
  _now := coalesce(_now, clock_milliseconds());
  IF _is_repeated THEN
    SELECT * INTO file FROM files WHERE blob_id = _blob_id;
    IF FOUND THEN
      outcome := CASE WHEN file.created_at = file.updated_at THEN 'added' ELSE 'replaced' END;
      RETURN;
    END IF;
    -- Without a lease the first try may have added the file, and another request has already replaced or removed it: the blob may be kept.
    PERFORM FROM blob_leases WHERE blob_id = _blob_id;
    IF NOT FOUND THEN outcome := 'unknown'; RETURN; END IF;
  END IF;
  SELECT * INTO _current FROM files WHERE owner_id = _owner_id AND name = _name;
  _is_new := NOT FOUND;
  IF _judged <> coalesce(_current.blob_id, 'none') THEN outcome := 'changed'; RETURN; END IF;
  IF NOT _is_new AND NOT _replaces THEN
    outcome := CASE WHEN _current.sha256 = _sha256 AND _current.size = _size THEN 'same' ELSE 'name_taken' END;
    file := _current;
    RETURN;
  END IF;
  added := _size - coalesce(_current.size, 0);
  IF _max_bytes IS NOT NULL OR _max_files IS NOT NULL THEN
    SELECT _used_bytes + bytes, _used_files + uploads, _occupied + received INTO _used_bytes, _used_files, _occupied FROM reserved_by_uploads(_owner_id, _upload_id);
  END IF;
  IF added > 0 AND _used_bytes + added > _max_bytes THEN outcome := 'quota_bytes'; used := _used_bytes; RETURN; END IF;
  IF _is_new AND _used_files + 1 > _max_files THEN outcome := 'quota_files'; used := _used_files; added := 1; RETURN; END IF;
  IF _is_leased THEN
    DELETE FROM blob_leases WHERE blob_id = _blob_id AND abandoned_at IS NULL;
    IF NOT FOUND THEN outcome := 'lease_ended'; RETURN; END IF;
  END IF;
  IF _is_new THEN
    outcome := 'added';
    INSERT INTO files (owner_id, name, size, type, sha256, blob_id, created_at, updated_at, stored_at)
      VALUES (_owner_id, _name, _size, _type, _sha256, _blob_id, _now, _now, _now) RETURNING * INTO file;
  ELSE
    outcome := 'replaced';
    _now := greatest(_current.updated_at, _now);
    _kept := keep_version(_current, _size, _sha256, _now, _keep_milliseconds, _keep_versions);
    UPDATE files SET size = _size, type = _type, sha256 = _sha256, blob_id = _blob_id, updated_at = _now, stored_at = _now
      WHERE id = _current.id RETURNING * INTO file;
  END IF;
  IF _occupied + added + _kept > _max_bytes THEN
    _kept := _kept - make_room(_owner_id, _occupied + added + _kept - _max_bytes, _current.blob_id, _most);
  END IF;
  IF NOT _is_new THEN _kept := _kept - trim_kept(_owner_id, _current.blob_id, _max_contents, _most); END IF;
  UPDATE accounts SET used_bytes = used_bytes + added, used_files = used_files + _is_new::int, kept_bytes = kept_bytes + _kept WHERE id = _owner_id;
END
$$;
--> statement-breakpoint
DROP FUNCTION remove_file(bigint, text, text, boolean, bigint);
--> statement-breakpoint
-- Deletes a file; _judged as in store_file. _is_kept: it goes to the trash; otherwise its versions are deleted too.
CREATE FUNCTION remove_file(_owner_id bigint, _name text, _judged text, _is_kept boolean DEFAULT false, _now bigint DEFAULT NULL,
  _max_contents bigint DEFAULT NULL, _most bigint DEFAULT NULL) RETURNS text
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
    UPDATE accounts SET kept_contents = kept_contents + 1 WHERE id = _owner_id;
    _kept := _current.size - trim_kept(_owner_id, _current.blob_id, _max_contents, _most);
  ELSE
    INSERT INTO discarded_blobs (blob_id, discarded_at) VALUES (_current.blob_id, clock_milliseconds());
    _kept := -discard_kept(_owner_id, ARRAY(SELECT id FROM kept WHERE file_id = _current.id));
  END IF;
  DELETE FROM files WHERE id = _current.id;
  UPDATE accounts SET used_bytes = used_bytes - _current.size, used_files = used_files - 1, kept_bytes = kept_bytes + _kept WHERE id = _owner_id;
  RETURN 'removed';
END
$$;
--> statement-breakpoint
DROP FUNCTION save_upload(text, bigint, bigint, text, bigint, bigint, bigint, boolean, bigint);
--> statement-breakpoint
-- Kept content makes room for the bytes that have arrived, as in store_file.
CREATE FUNCTION save_upload(
  _id text, _generation bigint, _received_bytes bigint, _state text, _length bigint, _lifetime bigint, _now bigint,
  _is_appending boolean, _max_bytes bigint, _most bigint DEFAULT NULL,
  OUT outcome text, OUT used bigint, OUT added bigint
) LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
DECLARE
  _upload uploads;
BEGIN
  _upload := lock_upload(_id, _now);
  IF _upload.id IS NULL THEN outcome := 'not_found'; RETURN; END IF;
  IF _upload.generation <> _generation OR _upload.result IS NOT NULL THEN outcome := 'upload_taken_over'; RETURN; END IF;
  added := coalesce(_length, _received_bytes) - coalesce(_upload.length, _upload.received_bytes);
  IF added > 0 AND _max_bytes IS NOT NULL THEN
    SELECT a.used_bytes + r.bytes INTO used FROM accounts a, reserved_by_uploads(a.id, NULL) r WHERE a.id = _upload.owner_id;
    IF used + added > _max_bytes THEN outcome := 'quota_bytes'; RETURN; END IF;
  END IF;
  UPDATE uploads SET received_bytes = _received_bytes, state = _state, length = _length,
    expires_at = coalesce(_now, clock_milliseconds()) + _lifetime, is_appending = _is_appending
    WHERE id = _id;
  PERFORM make_room_for_uploads(_upload.owner_id, _max_bytes, _most);
  outcome := 'saved';
END
$$;
--> statement-breakpoint
-- Forgets the first finished uploads of an owner beyond _max_finished, but _most at most.
CREATE FUNCTION forget_uploads(_owner_id bigint, _max_finished bigint, _most bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  _surplus bigint;
BEGIN
  IF _max_finished IS NULL THEN RETURN; END IF;
  SELECT count(*) INTO _surplus FROM (
    SELECT FROM uploads WHERE owner_id = _owner_id AND result IS NOT NULL ORDER BY expires_at DESC, sequence DESC OFFSET _max_finished LIMIT _most) surplus;
  IF _surplus = 0 THEN RETURN; END IF;
  DELETE FROM uploads WHERE id = ANY (ARRAY(
    SELECT id FROM uploads WHERE owner_id = _owner_id AND result IS NOT NULL ORDER BY expires_at, sequence LIMIT _surplus));
END
$$;
--> statement-breakpoint
DROP FUNCTION finish_upload(text, bigint, bigint, text, bigint, bigint, text, bigint, bigint, text, boolean, boolean, bigint, bigint);
--> statement-breakpoint
-- Makes a file of an upload. _judged as in store_file; _is_permitted: whether the precondition permits the file. The result is JSON.
-- _max_finished: finished uploads of an owner that are remembered; _max_forgotten: how many are forgotten at most.
CREATE FUNCTION finish_upload(
  _id text, _generation bigint, _received_bytes bigint, _state text, _lifetime bigint, _now bigint,
  _sha256 text, _max_bytes bigint, _max_files bigint, _judged text, _is_permitted boolean, _is_repeated boolean,
  _keep_milliseconds bigint DEFAULT 0, _keep_versions bigint DEFAULT 0, _max_contents bigint DEFAULT NULL, _most bigint DEFAULT NULL,
  _max_finished bigint DEFAULT NULL, _max_forgotten bigint DEFAULT NULL,
  OUT outcome text, OUT used bigint, OUT added bigint, OUT result text
) LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
DECLARE
  _upload uploads;
  _stored record;
  _file files;
BEGIN
  _upload := lock_upload(_id, _now);
  -- The first try may have made a file, and another request has ended the upload since.
  IF _upload.id IS NULL THEN outcome := CASE WHEN _is_repeated THEN 'unknown' ELSE 'not_found' END; RETURN; END IF;
  IF _upload.generation <> _generation OR (_upload.result IS NOT NULL AND NOT _is_repeated) THEN outcome := 'upload_taken_over'; RETURN; END IF;
  IF _upload.result IS NOT NULL THEN outcome := 'finished'; result := _upload.result; RETURN; END IF;
  IF _is_permitted THEN
    SELECT * INTO _stored FROM store_file(
      _upload.owner_id, _upload.name, _received_bytes, _upload.type, _sha256, _upload.blob_id, _now,
      _max_bytes, _max_files, false, _judged IS NOT NULL OR _upload.method = 'PUT', _judged, false, _id, _keep_milliseconds, _keep_versions, _max_contents, _most);
    outcome := _stored.outcome;
    used := _stored.used;
    added := _stored.added;
    IF outcome IN ('changed', 'quota_bytes', 'quota_files') THEN RETURN; END IF;
  ELSIF _judged <> coalesce((SELECT blob_id FROM files WHERE owner_id = _upload.owner_id AND name = _upload.name), 'none') THEN
    outcome := 'changed';
    RETURN;
  END IF;
  IF _is_permitted AND outcome <> 'name_taken' THEN
    _file := _stored.file;
    result := json_build_object('file', json_build_object(
      'id', _file.id, 'ownerId', _file.owner_id, 'name', _file.name, 'size', _file.size, 'type', _file.type, 'sha256', _file.sha256,
      'blobId', _file.blob_id, 'createdAt', _file.created_at, 'updatedAt', _file.updated_at, 'storedAt', _file.stored_at), 'isNew', outcome = 'added')::text;
    IF outcome = 'same' THEN
      INSERT INTO discarded_blobs (blob_id, discarded_at) VALUES (_upload.blob_id, clock_milliseconds());
    END IF;
  END IF;
  outcome := 'finished';
  UPDATE uploads u SET received_bytes = _received_bytes, length = _received_bytes, expires_at = coalesce(_now, clock_milliseconds()) + _lifetime,
    is_appending = false, is_refused = finish_upload.result IS NULL, result = finish_upload.result,
    -- The answers of a finished upload need no more.
    state = CASE WHEN finish_upload.result IS NULL THEN _state END,
    precondition = CASE WHEN finish_upload.result IS NULL THEN u.precondition ELSE '{}' END,
    repr_digest = CASE WHEN finish_upload.result IS NULL THEN u.repr_digest END
    WHERE u.id = _id;
  IF result IS NOT NULL THEN
    PERFORM forget_uploads(_upload.owner_id, _max_finished, _max_forgotten);
  ELSE
    -- The bytes of a refused upload stay with it.
    PERFORM make_room_for_uploads(_upload.owner_id, _max_bytes, _most);
  END IF;
END
$$;
