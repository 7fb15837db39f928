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
DELETE FROM `sqlite_sequence` WHERE "name" = '__new_events';--> statement-breakpoint
INSERT INTO `sqlite_sequence`("name", "seq") SELECT '__new_events', "seq" FROM `sqlite_sequence` WHERE "name" = 'events';--> statement-breakpoint
DROP TABLE `events`;--> statement-breakpoint
ALTER TABLE `__new_events` RENAME TO `events`;--> statement-breakpoint
CREATE INDEX `events_account` ON `events` (`account_id`,`id`);