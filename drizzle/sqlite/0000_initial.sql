CREATE TABLE `accounts` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`username` text NOT NULL,
	`username_key` text NOT NULL,
	`password_hash` text NOT NULL,
	`created_at` integer NOT NULL,
	`quota_bytes` integer,
	`quota_files` integer,
	`used_bytes` integer DEFAULT 0 NOT NULL,
	`used_files` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `accounts_username_key` ON `accounts` (`username_key`);--> statement-breakpoint
CREATE TABLE `discarded_blobs` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`blob_id` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `discarded_blobs_blob` ON `discarded_blobs` (`blob_id`);--> statement-breakpoint
CREATE TABLE `files` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`owner_id` integer NOT NULL,
	`name` text NOT NULL,
	`size` integer NOT NULL,
	`type` text NOT NULL,
	`sha256` text NOT NULL,
	`blob_id` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`is_date_shared` integer DEFAULT false NOT NULL,
	FOREIGN KEY (`owner_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `files_owner_name` ON `files` (`owner_id`,`name`);--> statement-breakpoint
CREATE UNIQUE INDEX `files_blob` ON `files` (`blob_id`);--> statement-breakpoint
CREATE INDEX `files_owner_created` ON `files` (`owner_id`,`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `files_owner_size` ON `files` (`owner_id`,`size`,`id`);--> statement-breakpoint
CREATE TABLE `installation` (
	`id` text PRIMARY KEY NOT NULL
);
--> statement-breakpoint
CREATE TABLE `tokens` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`account_id` integer NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `tokens_account` ON `tokens` (`account_id`,`id`);--> statement-breakpoint
CREATE INDEX `tokens_expiry` ON `tokens` (`expires_at`);