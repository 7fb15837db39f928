// Imported here too, so that the first view is in one file: in two, it would be 2 kB more.
import './app.tsx'
import { AccountView } from './account/account-view.tsx'
import { ClaimView } from './claim-view.tsx'
import { CodeDialog } from './factors/code-dialog.tsx'
import { SetUpDialog } from './factors/set-up-dialog.tsx'
import { ChosenRemoval, LossQuestion } from './files/chosen-questions.tsx'
import { NewFolder, NewText, RemovalQuestion } from './files/entry-dialogs.tsx'
import { EntryDetails } from './files/entry-details.tsx'
import { FailedEntries } from './files/failed-entries.tsx'
import { FolderDialog } from './files/folder-dialog.tsx'
import { Preview } from './files/preview.tsx'
import { TrashView } from './files/trash-view.tsx'
import { Versions } from './files/versions.tsx'
import { ProviderReturn } from './identities/provider-return.tsx'
import { ProviderSignIn } from './identities/provider-sign-in.tsx'
import { LinkDialog } from './links/link-dialog.tsx'
import { LinksView } from './links/links-view.tsx'
import { ShortcutsDialog } from './shortcuts-dialog.tsx'
import { SharedQuestion } from './uploads/shared-question.tsx'
import { UnfinishedList } from './uploads/unfinished-list.tsx'
import { UploadRows } from './uploads/upload-rows.tsx'

/** The components that are not in the first view of the page. */
export const parts = {
  AccountView,
  ChosenRemoval,
  ClaimView,
  CodeDialog,
  EntryDetails,
  FailedEntries,
  FolderDialog,
  LinkDialog,
  LinksView,
  LossQuestion,
  NewFolder,
  NewText,
  Preview,
  ProviderReturn,
  ProviderSignIn,
  RemovalQuestion,
  SetUpDialog,
  SharedQuestion,
  ShortcutsDialog,
  TrashView,
  UnfinishedList,
  UploadRows,
  Versions
}
