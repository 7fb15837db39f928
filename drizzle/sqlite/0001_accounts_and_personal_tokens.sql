CREATE TABLE `account_networks` (
	`account_id` integer NOT NULL,
	`network` text NOT NULL,
	`first_at` integer NOT NULL,
	PRIMARY KEY(`account_id`, `network`),
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `attempts` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`kind` text NOT NULL,
	`network` text NOT NULL,
	`username_key` text NOT NULL,
	`is_known_network` integer NOT NULL,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `attempts_pair` ON `attempts` (`kind`,`username_key`,`network`,`at`);--> statement-breakpoint
CREATE INDEX `attempts_network` ON `attempts` (`kind`,`network`,`at`);--> statement-breakpoint
CREATE INDEX `attempts_account` ON `attempts` (`kind`,`username_key`,`is_known_network`,`at`);--> statement-breakpoint
CREATE INDEX `attempts_at` ON `attempts` (`at`);--> statement-breakpoint
CREATE TABLE `events` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`account_id` integer NOT NULL,
	`kind` text NOT NULL,
	`network` text NOT NULL,
	`request_id` text NOT NULL,
	`at` integer NOT NULL,
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `events_account` ON `events` (`account_id`,`id`);--> statement-breakpoint
CREATE TABLE `__new_tokens` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`account_id` integer NOT NULL,
	`kind` text NOT NULL,
	`parent_id` integer,
	`name` text,
	`scopes` text NOT NULL,
	`secret_hash` text,
	`created_at` integer NOT NULL,
	`expires_at` integer,
	`last_used_at` integer,
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`parent_id`) REFERENCES `tokens`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
-- A token is one of the person's own, with all that a password may do; no id is ever used twice, that of a token which ended neither.
INSERT INTO `__new_tokens`("id", "account_id", "kind", "scopes", "created_at", "expires_at") SELECT "id", "account_id", 'access', 'files:read files:write account', "created_at", "expires_at" FROM `tokens`;--> statement-breakpoint
DELETE FROM `sqlite_sequence` WHERE `name` = '__new_tokens';--> statement-breakpoint
INSERT INTO `sqlite_sequence`("name", "seq") SELECT '__new_tokens', "seq" FROM `sqlite_sequence` WHERE `name` = 'tokens';--> statement-breakpoint
DROP TABLE `tokens`;--> statement-breakpoint
ALTER TABLE `__new_tokens` RENAME TO `tokens`;--> statement-breakpoint
CREATE UNIQUE INDEX `tokens_secret_hash` ON `tokens` (`secret_hash`);--> statement-breakpoint
CREATE INDEX `tokens_account` ON `tokens` (`account_id`,`id`);--> statement-breakpoint
CREATE INDEX `tokens_parent` ON `tokens` (`parent_id`);--> statement-breakpoint
CREATE INDEX `tokens_expiry` ON `tokens` (`expires_at`);--> statement-breakpoint
ALTER TABLE `accounts` ADD `disabled_at` integer;--> statement-breakpoint
ALTER TABLE `accounts` ADD `removed_at` integer;