SET LOCAL lock_timeout = '5s';--> statement-breakpoint
LOCK TABLE "accounts", "events" IN ACCESS EXCLUSIVE MODE;--> statement-breakpoint
ALTER TABLE "events" DROP CONSTRAINT "events_account_id_accounts_id_fk";
--> statement-breakpoint
ALTER TABLE "events" ALTER COLUMN "account_id" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "events" ADD COLUMN "username" text;--> statement-breakpoint
ALTER TABLE "events" ADD COLUMN "details" text;