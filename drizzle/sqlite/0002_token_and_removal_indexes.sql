DROP INDEX `tokens_expiry`;--> statement-breakpoint
CREATE INDEX `tokens_expiry` ON `tokens` (`kind`,`expires_at`);--> statement-breakpoint
CREATE INDEX `accounts_removed` ON `accounts` (`removed_at`) WHERE "accounts"."removed_at" is not null;