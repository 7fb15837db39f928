CREATE TABLE `blob_leases` (
	`blob_id` text PRIMARY KEY NOT NULL,
	`expires_at` integer NOT NULL,
	`abandoned_at` integer
);
--> statement-breakpoint
CREATE INDEX `blob_leases_expiry` ON `blob_leases` (`expires_at`);--> statement-breakpoint
ALTER TABLE `discarded_blobs` ADD `discarded_at` integer DEFAULT 0 NOT NULL;