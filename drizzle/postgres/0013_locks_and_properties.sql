SET LOCAL lock_timeout = '5s';--> statement-breakpoint
LOCK TABLE "accounts", "folders", "files", "kept" IN ACCESS EXCLUSIVE MODE;--> statement-breakpoint
CREATE TABLE "locks" (
	"token" text COLLATE "C" PRIMARY KEY NOT NULL,
	"owner_id" bigint NOT NULL,
	"path" text COLLATE "C" NOT NULL,
	"is_deep" boolean NOT NULL,
	"is_exclusive" boolean NOT NULL,
	"owner" text,
	"seconds" bigint NOT NULL,
	"expires_at" bigint NOT NULL
);
--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "locked_until" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "files" ADD COLUMN "properties" text;--> statement-breakpoint
ALTER TABLE "folders" ADD COLUMN "properties" text;--> statement-breakpoint
ALTER TABLE "kept" ADD COLUMN "properties" text;--> statement-breakpoint
ALTER TABLE "locks" ADD CONSTRAINT "locks_owner_id_accounts_id_fk" FOREIGN KEY ("owner_id") REFERENCES "public"."accounts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "locks_owner" ON "locks" USING btree ("owner_id","path");--> statement-breakpoint
CREATE INDEX "locks_expiry" ON "locks" USING btree ("expires_at");