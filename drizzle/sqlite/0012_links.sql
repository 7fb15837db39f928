CREATE TABLE `links` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`account_id` integer NOT NULL,
	`kind` text NOT NULL,
	`file_id` integer,
	`folder_id` integer,
	`secret_hash` text NOT NULL,
	`password_hash` text,
	`expires_at` integer,
	`max_files` integer,
	`max_bytes` integer,
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
CREATE INDEX `links_account` ON `links` (`account_id`,`id`);--> statement-breakpoint
CREATE INDEX `links_file` ON `links` (`file_id`) WHERE "links"."file_id" is not null;--> statement-breakpoint
CREATE INDEX `links_folder` ON `links` (`folder_id`) WHERE "links"."folder_id" is not null;--> statement-breakpoint
DROP INDEX `uploads_finished`;--> statement-breakpoint
ALTER TABLE `uploads` ADD `link_id` integer;--> statement-breakpoint
CREATE INDEX `uploads_unfinished_by_link` ON `uploads` (`link_id`) WHERE "uploads"."link_id" is not null and "uploads"."result" is null;--> statement-breakpoint
CREATE INDEX `uploads_finished_by_link` ON `uploads` (`link_id`,`expires_at`,`sequence`) WHERE "uploads"."link_id" is not null and "uploads"."result" is not null;--> statement-breakpoint
CREATE INDEX `uploads_finished` ON `uploads` (`owner_id`,`expires_at`,`sequence`) WHERE "uploads"."result" is not null and "uploads"."link_id" is null;--> statement-breakpoint
UPDATE `tokens` SET `scopes` = `scopes` || ' links' WHERE `kind` <> 'personal' AND (`parent_id` IS NULL OR `parent_id` IN (SELECT `id` FROM `tokens` WHERE `kind` = 'session'));