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
	FOREIGN KEY (`owner_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `kept_owner` ON `kept` (`owner_id`,`kept_at`,`id`);--> statement-breakpoint
CREATE INDEX `kept_trash` ON `kept` (`owner_id`,`kept_at`,`id`) WHERE "kept"."name" is not null;--> statement-breakpoint
CREATE INDEX `kept_file` ON `kept` (`file_id`,`kept_at`,`id`);--> statement-breakpoint
CREATE INDEX `kept_age` ON `kept` (`kept_at`,`id`);--> statement-breakpoint
ALTER TABLE `accounts` ADD `kept_bytes` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `files` ADD `stored_at` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
UPDATE `files` SET `stored_at` = `updated_at`;