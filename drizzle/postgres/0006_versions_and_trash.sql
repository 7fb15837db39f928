CREATE TABLE "kept" (
	"id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"owner_id" bigint NOT NULL,
	"file_id" bigint NOT NULL,
	"name" text COLLATE "C",
	"size" bigint NOT NULL,
	"type" text NOT NULL,
	"sha256" text NOT NULL,
	"stored_at" bigint NOT NULL,
	"created_at" bigint,
	"kept_at" bigint NOT NULL
);
--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "kept_bytes" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "files" ADD COLUMN "stored_at" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "kept" ADD CONSTRAINT "kept_owner_id_accounts_id_fk" FOREIGN KEY ("owner_id") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "kept_owner" ON "kept" USING btree ("owner_id","kept_at","id");--> statement-breakpoint
CREATE INDEX "kept_trash" ON "kept" USING btree ("owner_id","kept_at","id") WHERE "kept"."name" is not null;--> statement-breakpoint
CREATE INDEX "kept_file" ON "kept" USING btree ("file_id","kept_at","id");--> statement-breakpoint
CREATE INDEX "kept_age" ON "kept" USING btree ("kept_at","id");--> statement-breakpoint
UPDATE "files" SET "stored_at" = "updated_at";