CREATE TABLE `folders` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`owner_id` integer NOT NULL,
	`parent_id` integer NOT NULL,
	`name` text NOT NULL,
	`path` text NOT NULL,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`owner_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `folders_path` ON `folders` (`owner_id`,`path`);--> statement-breakpoint
CREATE UNIQUE INDEX `folders_parent_name` ON `folders` (`owner_id`,`parent_id`,`name`);--> statement-breakpoint
DROP INDEX `files_owner_name`;--> statement-breakpoint
DROP INDEX `files_owner_created`;--> statement-breakpoint
DROP INDEX `files_owner_size`;--> statement-breakpoint
ALTER TABLE `files` ADD `folder_id` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `files` ADD `modified_at` integer;--> statement-breakpoint
CREATE UNIQUE INDEX `files_folder_name` ON `files` (`owner_id`,`folder_id`,`name`);--> statement-breakpoint
CREATE INDEX `files_folder_created` ON `files` (`owner_id`,`folder_id`,`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `files_folder_size` ON `files` (`owner_id`,`folder_id`,`size`,`id`);--> statement-breakpoint
ALTER TABLE `accounts` ADD `used_folders` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `kept` ADD `modified_at` integer;--> statement-breakpoint
ALTER TABLE `kept` ADD `deleted_with` text;--> statement-breakpoint
CREATE INDEX `kept_deletion` ON `kept` (`owner_id`,`deleted_with`,`kept_at`,`id`) WHERE "kept"."deleted_with" is not null;--> statement-breakpoint
ALTER TABLE `uploads` ADD `modified_at` integer;