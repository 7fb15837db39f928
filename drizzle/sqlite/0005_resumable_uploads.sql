CREATE TABLE `uploads` (
	`sequence` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`owner_id` integer NOT NULL,
	`name` text NOT NULL,
	`type` text NOT NULL,
	`blob_id` text NOT NULL,
	`length` integer,
	`method` text NOT NULL,
	`precondition` text NOT NULL,
	`upload_metadata` text,
	`repr_digest` text,
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
CREATE INDEX `uploads_expiry` ON `uploads` (`expires_at`);