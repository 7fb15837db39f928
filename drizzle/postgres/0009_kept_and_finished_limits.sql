DROP INDEX "kept_owner";--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "kept_contents" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX "uploads_finished" ON "uploads" USING btree ("owner_id","expires_at","sequence") WHERE "uploads"."result" is not null;--> statement-breakpoint
CREATE INDEX "kept_owner" ON "kept" USING btree ("owner_id","kept_at","id","size");--> statement-breakpoint
UPDATE "accounts" SET "kept_contents" = (SELECT count(*) FROM "kept" WHERE "kept"."owner_id" = "accounts"."id");