-- Times are those of this clock, unless the caller names one.

-- As before, but for _now.
CREATE OR REPLACE FUNCTION store_file(
  _owner_id bigint, _name text, _size bigint, _type text, _sha256 text, _blob_id text, _now bigint,
  _max_bytes bigint, _max_files bigint, _is_leased boolean, _replaces boolean, _judged text, _is_repeated boolean,
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
-- As before, but for _at.
CREATE OR REPLACE FUNCTION add_event(_account_id bigint, _kind text, _network text, _request_id text, _at bigint, _keep bigint) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
BEGIN
  INSERT INTO events (account_id, kind, network, request_id, at) VALUES (_account_id, _kind, _network, _request_id, coalesce(_at, clock_milliseconds()));
  DELETE FROM events WHERE account_id = _account_id
    AND id <= (SELECT id FROM events WHERE account_id = _account_id ORDER BY id DESC OFFSET _keep LIMIT 1);
END
$$;
--> statement-breakpoint
-- As before, but the token expires _lifetime after _created_at, which is now if it is null. Servers of the version before call the other
-- function of this name, which has a parameter less, until they are restarted.
CREATE FUNCTION add_token(
  _account_id bigint, _kind text, _parent_id bigint, _name text, _scopes text, _secret_hash text, _created_at bigint, _expires_at bigint, _lifetime bigint,
  _password_hash text, _max_tokens bigint,
  _event_account_id bigint, _event_kind text, _network text, _request_id text, _at bigint, _keep bigint,
  OUT outcome text, OUT token tokens
) LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
DECLARE
  _current_hash text;
  _oldest bigint;
BEGIN
  SELECT password_hash INTO _current_hash FROM accounts WHERE id = _account_id AND removed_at IS NULL FOR NO KEY UPDATE;
  IF _password_hash <> coalesce(_current_hash, '') THEN outcome := 'credentials_wrong'; RETURN; END IF;
  IF _current_hash IS NULL THEN outcome := 'token_revoked'; RETURN; END IF;
  _created_at := coalesce(_created_at, clock_milliseconds());
  -- The earlier one, of those that are not null.
  _expires_at := least(_expires_at, _created_at + _lifetime);
  IF _parent_id IS NOT NULL THEN
    PERFORM FROM tokens WHERE id = _parent_id FOR KEY SHARE;
    IF NOT FOUND THEN outcome := 'token_revoked'; RETURN; END IF;
  END IF;
  PERFORM FROM tokens WHERE account_id = _account_id ORDER BY id OFFSET _max_tokens - 1 LIMIT 1;
  IF _max_tokens IS NOT NULL AND FOUND THEN
    SELECT id INTO _oldest FROM tokens WHERE account_id = _account_id AND kind = 'access' ORDER BY id LIMIT 1;
    IF NOT FOUND THEN outcome := 'too_many_tokens'; RETURN; END IF;
    DELETE FROM tokens WHERE id = _oldest;
  END IF;
  INSERT INTO tokens (account_id, kind, parent_id, name, scopes, secret_hash, created_at, expires_at)
    VALUES (_account_id, _kind, _parent_id, _name, _scopes, _secret_hash, _created_at, _expires_at) RETURNING * INTO token;
  IF _keep IS NOT NULL THEN PERFORM add_event(_event_account_id, _event_kind, _network, _request_id, _at, _keep); END IF;
  outcome := 'added';
END
$$;
--> statement-breakpoint
-- As before, but for _at.
CREATE OR REPLACE FUNCTION claim_attempt(
  _kind text, _network text, _username_key text, _is_known_network boolean, _at bigint, _limits jsonb, _claim_milliseconds bigint, _skew_milliseconds bigint,
  OUT state text, OUT claim_id bigint, OUT retry_seconds bigint
) LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
DECLARE
  _limit record;
  _count record;
  _is_busy boolean := false;
BEGIN
  -- Attempts that a limit counts together have the network or the username in common. Sorted, so that no two wait for each other.
  PERFORM pg_advisory_xact_lock(key) FROM (
    SELECT hashtextextended(shared, 0) AS key FROM unnest(ARRAY[_kind || ' network ' || _network, _kind || ' username ' || _username_key]) shared ORDER BY 1
  ) keys;
  _at := coalesce(_at, clock_milliseconds());
  retry_seconds := 0;
  FOR _limit IN SELECT * FROM jsonb_to_recordset(_limits) AS item(matching jsonb, "limit" bigint, seconds bigint) LOOP
    SELECT * INTO _count FROM count_attempts(
      _limit.matching->>'kind', _limit.matching->>'network', _limit.matching->>'usernameKey', _at - _limit.seconds * 1000 + 1, _at + _skew_milliseconds, _limit."limit");
    IF _count.failed >= _limit."limit" THEN
      retry_seconds := greatest(retry_seconds, 1, ceil((_count.earliest + _limit.seconds * 1000 - _at) / 1000.0));
    END IF;
    _is_busy := _is_busy OR _count.failed + _count.claimed >= _limit."limit";
  END LOOP;
  state := CASE WHEN retry_seconds > 0 THEN 'refused' WHEN _is_busy THEN 'busy' ELSE 'granted' END;
  IF state = 'granted' THEN
    INSERT INTO attempt_claims (kind, network, username_key, is_known_network, expires_at)
      VALUES (_kind, _network, _username_key, _is_known_network, clock_milliseconds() + _claim_milliseconds) RETURNING id INTO claim_id;
  END IF;
END
$$;
--> statement-breakpoint
-- As before, but for _now.
CREATE OR REPLACE FUNCTION settle_attempt(_claim_id bigint, _outcome text, _now bigint) RETURNS void LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
DECLARE
  _claim attempt_claims;
BEGIN
  DELETE FROM attempt_claims WHERE id = _claim_id RETURNING * INTO _claim;
  -- A second call changes nothing, so that one whose answer was lost can be repeated.
  IF NOT FOUND THEN RETURN; END IF;
  IF _outcome = 'failed' THEN
    INSERT INTO attempts (kind, network, username_key, is_known_network, at)
      VALUES (_claim.kind, _claim.network, _claim.username_key, _claim.is_known_network, coalesce(_now, clock_milliseconds()));
  ELSIF _outcome = 'succeeded' THEN
    DELETE FROM attempts WHERE kind = 'sign_in' AND username_key = _claim.username_key AND network = _claim.network;
  END IF;
END
$$;
