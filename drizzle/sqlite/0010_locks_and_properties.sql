CREATE TABLE `locks` (
	`token` text PRIMARY KEY NOT NULL,
	`owner_id` integer NOT NULL,
	`path` text NOT NULL,
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
ALTER TABLE `accounts` ADD `locked_until` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `files` ADD `properties` text;--> statement-breakpoint
ALTER TABLE `folders` ADD `properties` text;--> statement-breakpoint
ALTER TABLE `kept` ADD `properties` text;