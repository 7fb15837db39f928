-- What the owner's unfinished uploads count towards the quotas, without the upload _except.
CREATE FUNCTION reserved_by_uploads(_owner_id bigint, _except text, OUT bytes bigint, OUT uploads bigint) LANGUAGE sql AS $$
  SELECT coalesce(sum(coalesce(length, received_bytes)), 0)::bigint, count(*) FROM uploads
    WHERE owner_id = _owner_id AND result IS NULL AND expires_at > clock_milliseconds() AND id IS DISTINCT FROM _except
$$;
--> statement-breakpoint
-- The default of the new parameter keeps processes of the version before working.
DROP FUNCTION store_file(bigint, text, bigint, text, text, text, bigint, bigint, bigint, boolean, boolean, text, boolean);
--> statement-breakpoint
-- Adds a file, or with _replaces also replaces one. The lock on the owner's row makes names, quotas and conditions exact.
-- _judged: the blob of the file that the caller judged a precondition against, 'none' if there was no file, null if there is no
-- precondition. Nothing is changed before the last check has passed, so an outcome that is a failure needs no rollback.
-- _upload_id: the upload that becomes the file, and whose reservation the file takes.
CREATE FUNCTION store_file(
  _owner_id bigint, _name text, _size bigint, _type text, _sha256 text, _blob_id text, _now bigint,
  _max_bytes bigint, _max_files bigint, _is_leased boolean, _replaces boolean, _judged text, _is_repeated boolean, _upload_id text DEFAULT NULL,
  OUT outcome text, OUT used bigint, OUT added bigint, OUT file files
) LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
DECLARE
  _used_bytes bigint;
  _used_files bigint;
  _current files;
  _is_new boolean;
BEGIN
  SELECT used_bytes, used_files INTO _used_bytes, _used_files
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
    -- Without a lease nothing says whether the first try added the file, and another request has already removed it.
    IF NOT _is_leased THEN outcome := 'unknown'; RETURN; END IF;
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
    SELECT _used_bytes + bytes, _used_files + uploads INTO _used_bytes, _used_files FROM reserved_by_uploads(_owner_id, _upload_id);
  END IF;
  IF added > 0 AND _used_bytes + added > _max_bytes THEN outcome := 'quota_bytes'; used := _used_bytes; RETURN; END IF;
  IF _is_new AND _used_files + 1 > _max_files THEN outcome := 'quota_files'; used := _used_files; added := 1; RETURN; END IF;
  IF _is_leased THEN
    DELETE FROM blob_leases WHERE blob_id = _blob_id AND abandoned_at IS NULL;
    IF NOT FOUND THEN outcome := 'lease_ended'; RETURN; END IF;
  END IF;
  UPDATE accounts SET used_bytes = used_bytes + added, used_files = used_files + _is_new::int WHERE id = _owner_id;
  IF _is_new THEN
    outcome := 'added';
    INSERT INTO files (owner_id, name, size, type, sha256, blob_id, created_at, updated_at)
      VALUES (_owner_id, _name, _size, _type, _sha256, _blob_id, _now, _now) RETURNING * INTO file;
  ELSE
    outcome := 'replaced';
    INSERT INTO discarded_blobs (blob_id, discarded_at) VALUES (_current.blob_id, clock_milliseconds());
    UPDATE files SET size = _size, type = _type, sha256 = _sha256, blob_id = _blob_id, updated_at = greatest(updated_at, _now)
      WHERE id = _current.id RETURNING * INTO file;
  END IF;
END
$$;
--> statement-breakpoint
-- Adds an upload. One by PUT ends the unfinished ones by PUT with its name, which do not count against it.
CREATE FUNCTION add_upload(
  _id text, _owner_id bigint, _name text, _type text, _blob_id text, _length bigint, _method text, _precondition text,
  _upload_metadata text, _repr_digest text, _now bigint, _lifetime bigint,
  _max_uploads bigint, _max_bytes bigint, _max_files bigint, _is_repeated boolean,
  OUT outcome text, OUT used bigint, OUT added bigint, OUT upload uploads
) LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
DECLARE
  _used_bytes bigint;
  _used_files bigint;
  _reserved_bytes bigint;
  _uploads bigint;
  _ended text[];
BEGIN
  SELECT used_bytes, used_files INTO _used_bytes, _used_files
    FROM accounts WHERE id = _owner_id AND removed_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN outcome := 'not_found'; RETURN; END IF;
  IF _is_repeated THEN
    SELECT * INTO upload FROM uploads WHERE id = _id;
    IF FOUND THEN outcome := 'added'; RETURN; END IF;
    -- The first try added it, and another request has ended it since: the bytes of its blob are to be deleted.
    PERFORM FROM discarded_blobs WHERE blob_id = _blob_id;
    IF FOUND THEN outcome := 'unknown'; RETURN; END IF;
  END IF;
  _now := coalesce(_now, clock_milliseconds());
  SELECT array_agg(id) INTO _ended FROM uploads
    WHERE owner_id = _owner_id AND result IS NULL AND name = _name AND method = 'PUT' AND _method = 'PUT';
  SELECT coalesce(sum(coalesce(length, received_bytes)), 0), count(*) INTO _reserved_bytes, _uploads FROM uploads
    WHERE owner_id = _owner_id AND result IS NULL AND expires_at > _now AND id <> ALL (coalesce(_ended, '{}'));
  used := _used_bytes + _reserved_bytes;
  added := coalesce(_length, 0);
  IF added > 0 AND used + added > _max_bytes THEN outcome := 'quota_bytes'; RETURN; END IF;
  used := _used_files + _uploads;
  added := 1;
  IF used + 1 > _max_files THEN outcome := 'quota_files'; RETURN; END IF;
  IF _uploads >= _max_uploads THEN outcome := 'too_many_uploads'; RETURN; END IF;
  WITH ended AS (DELETE FROM uploads WHERE id = ANY (_ended) RETURNING blob_id)
    INSERT INTO discarded_blobs (blob_id, discarded_at) SELECT blob_id, clock_milliseconds() FROM ended;
  INSERT INTO uploads (id, owner_id, name, type, blob_id, length, method, precondition, upload_metadata, repr_digest, created_at, expires_at)
    VALUES (_id, _owner_id, _name, _type, _blob_id, _length, _method, _precondition, _upload_metadata, _repr_digest, _now, _now + _lifetime)
    RETURNING * INTO upload;
  outcome := 'added';
END
$$;
--> statement-breakpoint
-- An upload, after its owner and then itself were locked; null if it has expired or the owner was deleted.
CREATE FUNCTION lock_upload(_id text, _now bigint) RETURNS uploads LANGUAGE plpgsql AS $$
DECLARE
  _upload uploads;
BEGIN
  PERFORM FROM accounts WHERE id = (SELECT owner_id FROM uploads WHERE id = _id) AND removed_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  SELECT * INTO _upload FROM uploads WHERE id = _id AND expires_at > coalesce(_now, clock_milliseconds()) FOR NO KEY UPDATE;
  RETURN _upload;
END
$$;
--> statement-breakpoint
CREATE FUNCTION save_upload(
  _id text, _generation bigint, _received_bytes bigint, _state text, _length bigint, _lifetime bigint, _now bigint,
  _is_appending boolean, _max_bytes bigint,
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
  outcome := 'saved';
END
$$;
--> statement-breakpoint
-- Makes a file of an upload. _judged as in store_file; _is_permitted: whether the precondition permits the file. The result is JSON.
CREATE FUNCTION finish_upload(
  _id text, _generation bigint, _received_bytes bigint, _state text, _lifetime bigint, _now bigint,
  _sha256 text, _max_bytes bigint, _max_files bigint, _judged text, _is_permitted boolean, _is_repeated boolean,
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
      _max_bytes, _max_files, false, _judged IS NOT NULL OR _upload.method = 'PUT', _judged, false, _id);
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
      'blobId', _file.blob_id, 'createdAt', _file.created_at, 'updatedAt', _file.updated_at), 'isNew', outcome = 'added')::text;
    IF outcome = 'same' THEN
      INSERT INTO discarded_blobs (blob_id, discarded_at) VALUES (_upload.blob_id, clock_milliseconds());
    END IF;
  END IF;
  outcome := 'finished';
  UPDATE uploads u SET received_bytes = _received_bytes, state = _state, length = _received_bytes,
    expires_at = coalesce(_now, clock_milliseconds()) + _lifetime, is_appending = false, is_refused = finish_upload.result IS NULL, result = finish_upload.result WHERE u.id = _id;
END
$$;
