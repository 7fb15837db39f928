CREATE TABLE `blob_leases` (
	`blob_id` text PRIMARY KEY NOT NULL,
	`expires_at` integer NOT NULL,
	`abandoned_at` integer
);
--> statement-breakpoint
CREATE INDEX `blob_leases_expiry` ON `blob_leases` (`expires_at`);--> statement-breakpoint
CREATE TABLE `changes` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`owner_id` integer NOT NULL,
	`kind` text NOT NULL,
	`name` text NOT NULL,
	`from_name` text,
	`file_id` integer,
	`folder_id` integer,
	`at` integer NOT NULL,
	`link_id` integer,
	FOREIGN KEY (`owner_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `changes_owner` ON `changes` (`owner_id`,`id`);--> statement-breakpoint
CREATE TABLE `folders` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`owner_id` integer NOT NULL,
	`parent_id` integer NOT NULL,
	`name` text NOT NULL,
	`path` text NOT NULL,
	`sort_key` text,
	`created_at` integer NOT NULL,
	`properties` text,
	`is_starred` integer DEFAULT false NOT NULL,
	FOREIGN KEY (`owner_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `folders_path` ON `folders` (`owner_id`,`path`);--> statement-breakpoint
CREATE UNIQUE INDEX `folders_parent_name` ON `folders` (`owner_id`,`parent_id`,`name`);--> statement-breakpoint
CREATE INDEX `folders_parent_natural` ON `folders` (`owner_id`,`parent_id`,`sort_key`,`name`);--> statement-breakpoint
CREATE INDEX `folders_without_sort_key` ON `folders` (`id`) WHERE "folders"."sort_key" is null;--> statement-breakpoint
CREATE INDEX `folders_owner` ON `folders` (`owner_id`,`id`);--> statement-breakpoint
CREATE INDEX `folders_starred` ON `folders` (`owner_id`,`parent_id`,`name`) WHERE "folders"."is_starred";--> statement-breakpoint
CREATE TABLE `identities` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`account_id` integer NOT NULL,
	`issuer` text NOT NULL,
	`subject` text NOT NULL,
	`label` text,
	`created_at` integer NOT NULL,
	`last_used_at` integer NOT NULL,
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `identities_subject` ON `identities` (`issuer`,`subject`);--> statement-breakpoint
CREATE INDEX `identities_account` ON `identities` (`account_id`,`id`);--> statement-breakpoint
CREATE TABLE `deletions` (
	`id` text PRIMARY KEY NOT NULL,
	`owner_id` integer NOT NULL,
	`kind` text NOT NULL,
	`name` text NOT NULL,
	`files` integer NOT NULL,
	`folders` integer NOT NULL,
	`size` integer NOT NULL,
	`deleted_at` integer NOT NULL,
	FOREIGN KEY (`owner_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `deletions_owner` ON `deletions` (`owner_id`,`deleted_at`,`id`);--> statement-breakpoint
CREATE TABLE `kept` (
	`id` text PRIMARY KEY NOT NULL,
	`owner_id` integer NOT NULL,
	`file_id` integer NOT NULL,
	`name` text,
	`size` integer NOT NULL,
	`type` text NOT NULL,
	`sha256` text NOT NULL,
	`stored_at` integer NOT NULL,
	`created_at` integer,
	`kept_at` integer NOT NULL,
	`modified_at` integer,
	`deleted_with` text,
	`properties` text,
	`folder` text,
	`is_starred` integer DEFAULT false NOT NULL,
	FOREIGN KEY (`owner_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `kept_owner` ON `kept` (`owner_id`,`kept_at`,`id`,`size`);--> statement-breakpoint
CREATE INDEX `kept_trash` ON `kept` (`owner_id`,`kept_at`,`id`) WHERE "kept"."name" is not null;--> statement-breakpoint
CREATE INDEX `kept_alone` ON `kept` (`owner_id`,`kept_at`,`id`) WHERE "kept"."name" is not null and "kept"."deleted_with" is null;--> statement-breakpoint
CREATE INDEX `kept_file` ON `kept` (`file_id`,`kept_at`,`id`);--> statement-breakpoint
CREATE INDEX `kept_age` ON `kept` (`kept_at`,`id`);--> statement-breakpoint
CREATE INDEX `kept_deletion` ON `kept` (`owner_id`,`deleted_with`,`kept_at`,`id`) WHERE "kept"."deleted_with" is not null;--> statement-breakpoint
CREATE INDEX `kept_content` ON `kept` (`owner_id`,`sha256`);--> statement-breakpoint
CREATE TABLE `pictures` (
	`owner_id` integer NOT NULL,
	`sha256` text NOT NULL,
	`size` integer DEFAULT 0 NOT NULL,
	`is_kept` integer DEFAULT false NOT NULL,
	`taken_at` integer,
	`type` text,
	`bytes` blob,
	PRIMARY KEY(`owner_id`, `sha256`),
	FOREIGN KEY (`owner_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `link_networks` (
	`link_id` integer NOT NULL,
	`network` text NOT NULL,
	`first_at` integer NOT NULL,
	PRIMARY KEY(`link_id`, `network`),
	FOREIGN KEY (`link_id`) REFERENCES `links`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `links` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`account_id` integer NOT NULL,
	`kind` text NOT NULL,
	`file_id` integer,
	`folder_id` integer,
	`secret_hash` text NOT NULL,
	`secret_sealed` text,
	`password_hash` text,
	`expires_at` integer,
	`max_files` integer,
	`max_bytes` integer,
	`file_name` text,
	`sha256` text,
	`shows_owner` integer NOT NULL,
	`used_files` integer DEFAULT 0 NOT NULL,
	`used_bytes` integer DEFAULT 0 NOT NULL,
	`created_at` integer NOT NULL,
	`uses` integer DEFAULT 0 NOT NULL,
	`last_used_at` integer,
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`file_id`) REFERENCES `files`(`id`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`folder_id`) REFERENCES `folders`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `links_secret_hash` ON `links` (`secret_hash`);--> statement-breakpoint
CREATE INDEX `links_account` ON `links` (`account_id`,`file_name`,`id`);--> statement-breakpoint
CREATE INDEX `links_one_upload` ON `links` (`expires_at`) WHERE "links"."file_name" is not null;--> statement-breakpoint
CREATE INDEX `links_file` ON `links` (`file_id`) WHERE "links"."file_id" is not null;--> statement-breakpoint
CREATE INDEX `links_folder` ON `links` (`folder_id`) WHERE "links"."folder_id" is not null;--> statement-breakpoint
CREATE TABLE `locks` (
	`token` text PRIMARY KEY NOT NULL,
	`owner_id` integer NOT NULL,
	`path` text NOT NULL,
	`is_folder` integer NOT NULL,
	`is_deep` integer NOT NULL,
	`is_exclusive` integer NOT NULL,
	`owner` text,
	`seconds` integer NOT NULL,
	`expires_at` integer NOT NULL,
	FOREIGN KEY (`owner_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `locks_owner` ON `locks` (`owner_id`,`path`);--> statement-breakpoint
CREATE INDEX `locks_expiry` ON `locks` (`expires_at`);--> statement-breakpoint
CREATE TABLE `connections` (
	`id` text PRIMARY KEY NOT NULL,
	`code_hash` text NOT NULL,
	`secret_hash` text NOT NULL,
	`name` text NOT NULL,
	`scopes` text NOT NULL,
	`network` text NOT NULL,
	`block` text NOT NULL,
	`expires_at` integer NOT NULL,
	`account_id` integer,
	`factors` text,
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `connections_code` ON `connections` (`code_hash`);--> statement-breakpoint
CREATE INDEX `connections_account` ON `connections` (`account_id`);--> statement-breakpoint
CREATE INDEX `connections_expiry` ON `connections` (`expires_at`);--> statement-breakpoint
CREATE TABLE `one_time_secrets` (
	`hash` text PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`account_id` integer,
	`username` text,
	`removes_factors` integer DEFAULT false NOT NULL,
	`expires_at` integer NOT NULL,
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `one_time_secrets_account` ON `one_time_secrets` (`account_id`);--> statement-breakpoint
CREATE INDEX `one_time_secrets_expiry` ON `one_time_secrets` (`expires_at`);--> statement-breakpoint
CREATE TABLE `passkeys` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`account_id` integer NOT NULL,
	`name` text NOT NULL,
	`credential_id` text NOT NULL,
	`public_key` text NOT NULL,
	`user_handle` text NOT NULL,
	`counter` integer NOT NULL,
	`created_at` integer NOT NULL,
	`last_used_at` integer,
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `passkeys_credential` ON `passkeys` (`credential_id`);--> statement-breakpoint
CREATE INDEX `passkeys_account` ON `passkeys` (`account_id`,`id`);--> statement-breakpoint
CREATE TABLE `recovery_codes` (
	`account_id` integer NOT NULL,
	`hash` text NOT NULL,
	PRIMARY KEY(`account_id`, `hash`),
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `totp_secrets` (
	`account_id` integer NOT NULL,
	`state` text NOT NULL,
	`secret` text NOT NULL,
	`last_step` integer DEFAULT 0 NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer,
	PRIMARY KEY(`account_id`, `state`),
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `uploads` (
	`sequence` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`owner_id` integer NOT NULL,
	`link_id` integer,
	`name` text NOT NULL,
	`type` text NOT NULL,
	`blob_id` text NOT NULL,
	`length` integer,
	`method` text NOT NULL,
	`precondition` text NOT NULL,
	`upload_metadata` text,
	`repr_digest` text,
	`modified_at` integer,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`received_bytes` integer DEFAULT 0 NOT NULL,
	`state` text,
	`generation` integer DEFAULT 1 NOT NULL,
	`is_appending` integer DEFAULT false NOT NULL,
	`is_refused` integer DEFAULT false NOT NULL,
	`result` text,
	FOREIGN KEY (`owner_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `uploads_id` ON `uploads` (`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `uploads_blob` ON `uploads` (`blob_id`);--> statement-breakpoint
CREATE INDEX `uploads_owner` ON `uploads` (`owner_id`);--> statement-breakpoint
CREATE INDEX `uploads_unfinished` ON `uploads` (`owner_id`,`sequence`) WHERE "uploads"."result" is null;--> statement-breakpoint
CREATE INDEX `uploads_finished` ON `uploads` (`owner_id`,`expires_at`,`sequence`) WHERE "uploads"."result" is not null and "uploads"."link_id" is null;--> statement-breakpoint
CREATE INDEX `uploads_expiry` ON `uploads` (`expires_at`);--> statement-breakpoint
CREATE INDEX `uploads_unfinished_by_link` ON `uploads` (`link_id`) WHERE "uploads"."link_id" is not null and "uploads"."result" is null;--> statement-breakpoint
CREATE INDEX `uploads_finished_by_link` ON `uploads` (`link_id`,`expires_at`,`sequence`) WHERE "uploads"."link_id" is not null and "uploads"."result" is not null;--> statement-breakpoint
CREATE TABLE `used_challenges` (
	`id` text PRIMARY KEY NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `used_challenges_expiry` ON `used_challenges` (`expires_at`);--> statement-breakpoint
CREATE TABLE `__new_events` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`account_id` integer,
	`username` text,
	`kind` text NOT NULL,
	`details` text,
	`network` text NOT NULL,
	`request_id` text NOT NULL,
	`at` integer NOT NULL
);
--> statement-breakpoint
INSERT INTO `__new_events`("id", "account_id", "kind", "network", "request_id", "at") SELECT "id", "account_id", "kind", "network", "request_id", "at" FROM `events`;--> statement-breakpoint
-- No id is used twice, nor is that of the newest event if it was deleted.
DELETE FROM `sqlite_sequence` WHERE "name" = '__new_events';--> statement-breakpoint
INSERT INTO `sqlite_sequence`("name", "seq") SELECT '__new_events', "seq" FROM `sqlite_sequence` WHERE "name" = 'events';--> statement-breakpoint
DROP TABLE `events`;--> statement-breakpoint
ALTER TABLE `__new_events` RENAME TO `events`;--> statement-breakpoint
CREATE INDEX `events_account` ON `events` (`account_id`,`id`);--> statement-breakpoint
ALTER TABLE `accounts` ADD `used_folders` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `kept_bytes` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `kept_contents` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `locked_until` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `factor_count` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `factor_version` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `provider_sign_in_at` integer;--> statement-breakpoint
ALTER TABLE `discarded_blobs` ADD `discarded_at` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
DROP INDEX `files_owner_name`;--> statement-breakpoint
DROP INDEX `files_owner_created`;--> statement-breakpoint
DROP INDEX `files_owner_size`;--> statement-breakpoint
ALTER TABLE `files` ADD `folder_id` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `files` ADD `stored_at` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `files` ADD `modified_at` integer;--> statement-breakpoint
ALTER TABLE `files` ADD `changed_at` integer GENERATED ALWAYS AS (coalesce(modified_at, stored_at)) VIRTUAL NOT NULL;--> statement-breakpoint
ALTER TABLE `files` ADD `taken_at` integer;--> statement-breakpoint
ALTER TABLE `files` ADD `has_thumbnail` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `files` ADD `taken` integer GENERATED ALWAYS AS (coalesce(taken_at, modified_at, stored_at)) VIRTUAL NOT NULL;--> statement-breakpoint
ALTER TABLE `files` ADD `kind` integer GENERATED ALWAYS AS (CASE lower(substr(type, 1, 6)) WHEN 'image/' THEN 1 WHEN 'video/' THEN 2 ELSE 0 END) VIRTUAL NOT NULL;--> statement-breakpoint
ALTER TABLE `files` ADD `sort_key` text;--> statement-breakpoint
ALTER TABLE `files` ADD `properties` text;--> statement-breakpoint
ALTER TABLE `files` ADD `is_starred` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `files` DROP COLUMN `is_date_shared`;--> statement-breakpoint
CREATE UNIQUE INDEX `files_folder_name` ON `files` (`owner_id`,`folder_id`,`name`);--> statement-breakpoint
CREATE INDEX `files_folder_natural` ON `files` (`owner_id`,`folder_id`,`sort_key`,`name`);--> statement-breakpoint
CREATE INDEX `files_without_sort_key` ON `files` (`id`) WHERE "files"."sort_key" is null;--> statement-breakpoint
CREATE INDEX `files_folder_created` ON `files` (`owner_id`,`folder_id`,`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `files_folder_size` ON `files` (`owner_id`,`folder_id`,`size`,`id`);--> statement-breakpoint
UPDATE `files` SET `stored_at` = `updated_at`;--> statement-breakpoint
CREATE INDEX `files_folder_changed` ON `files` (`owner_id`,`folder_id`,`changed_at`,`id`);--> statement-breakpoint
CREATE INDEX `files_changed` ON `files` (`owner_id`,`changed_at`,`id`);--> statement-breakpoint
CREATE INDEX `files_starred` ON `files` (`owner_id`,`folder_id`,`name`) WHERE "files"."is_starred";--> statement-breakpoint
CREATE INDEX `files_content` ON `files` (`owner_id`,`sha256`);--> statement-breakpoint
CREATE INDEX `files_taken` ON `files` (`owner_id`,`taken`,`id`,`kind`,`folder_id`) WHERE "files"."kind" > 0;--> statement-breakpoint
ALTER TABLE `tokens` ADD `factors` text DEFAULT 'password' NOT NULL;--> statement-breakpoint
ALTER TABLE `tokens` ADD `browser` text;--> statement-breakpoint
ALTER TABLE `tokens` ADD `system` text;--> statement-breakpoint
-- A token that was issued for the password may do all that a password may.
UPDATE `tokens` SET `scopes` = `scopes` || ' links' WHERE `kind` = 'access' AND `parent_id` IS NULL;--> statement-breakpoint
ALTER TABLE `installation` ADD `epoch` text;