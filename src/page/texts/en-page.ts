import { frame } from './en-frame.ts'
import type { Tools } from './tools.ts'

/** The texts of the first view of the page of an account. */
export const texts = (tools: Tools<'en'>) => {
  const { visible, number, plural } = tools
  const ofBoth = frame(tools)
  return {
    ...ofBoth,
    problems: {
      ...ofBoth.problems,
      validation_failed: 'Something that you entered is not accepted',
      username_taken: 'Username already taken',
      username_invalid: 'Invalid username',
      password_invalid: 'Invalid password',
      credentials_missing: 'You are not signed in',
      credentials_wrong: 'Wrong username or password',
      second_factor_required: 'A one-time code is required',
      second_factor_wrong: 'The one-time code is wrong or was used',
      passkey_refused: 'The passkey was refused',
      password_required: 'Your password is required',
      token_expired: 'Your session has ended',
      token_revoked: 'Your session has ended',
      tls_required: 'The server takes passwords only over HTTPS',
      second_factor_setup_required: 'Set up a second factor first',
      registration_closed: 'Nobody can create an account here',
      too_many_sign_ins: 'Too many failed sign-ins',
      too_many_codes: 'Too many wrong one-time codes',
      too_many_registrations: 'Too many accounts were created from your network'
    },
    problemHints: {
      ...ofBoth.problemHints,
      username: 'It has 1 to 64 letters and digits. Spaces can be between words.',
      password_invalid: 'It needs at least 8 characters, and can’t be common or your username.'
    },
    cancel: 'Cancel',
    copy: 'Copy',
    copied: 'Copied.',
    dismiss: 'Dismiss',
    breakLock: 'Break the lock',
    breakLockHint: 'Do this only if no other program is changing it.',
    lockBroken: 'The lock is broken. Try again.',
    skipToMain: 'Skip to the content',
    navigation: 'Pages',
    views: {
      files: 'Files',
      recent: 'Recent',
      starred: 'Starred',
      links: 'Links',
      trash: 'Trash',
      account: 'Account'
    },
    sign: {
      in: 'Sign in',
      out: 'Sign out',
      up: 'Create an account',
      toSignUp: 'Create an account instead',
      toSignIn: 'Sign in instead',
      username: 'Username',
      password: 'Password',
      endedTitle: 'Your session has ended',
      ended: 'Sign in again to continue where you were. Nothing on this page is lost.',
      asAnother: 'Sign in as another user instead',
      inWithPasskey: 'Sign in with a passkey',
      inWith: (provider: string) => `Sign in with ${provider}`,
      or: 'Or with a password:',
      upWith: (provider: string) => `To create an account, sign in with ${provider}.`,
      providerKnows: (provider: string) => `You are signed out here. ${provider} may still know you.`,
      noStorage: 'The browser allows no storage, which this needs.',
      upHint: 'Choose a username and a password. Only the operator of this server can reset a forgotten password.',
      closed: 'Only the operator of this server can create accounts.',
      welcome: 'Your private files: upload them here, get them back anywhere.'
    },
    files: {
      new: 'New',
      newText: 'New text file',
      columns: {
        name: 'Name',
        size: 'Size',
        changed: 'Changed',
        deleted: 'Deleted',
        expires: 'Kept until',
        actions: 'Actions'
      },
      orders: {
        natural: 'Name, A to Z',
        '-natural': 'Name, Z to A',
        '-changed': 'Newest first',
        changed: 'Oldest first',
        largest: 'Largest first',
        smallest: 'Smallest first',
        name: 'Folder after folder'
      },
      order: 'Order',
      search: 'Search names…',
      scope: 'Where to search',
      scopes: { folder: 'In this folder', everywhere: 'Everywhere' },
      inFolder: (path: string) => `Show in ${path}`,
      found: (count: number, isAll: boolean) => `${isAll ? number(count) : `More than ${number(count)}`} found.`,
      foundPart: (count: number) => `${number(count)} found, and perhaps more: search folder after folder to find all.`,
      searchFailed: 'The search failed.',
      star: 'Add a star',
      unstar: 'Remove the star',
      starred: 'starred',
      showInFolder: 'Show in its folder',
      jump: 'A–Z: jump to a letter',
      letters: 'A–Z',
      layout: 'Layout',
      layouts: { list: 'List', tiles: 'Tiles', timeline: 'Timeline' },
      newName: (name: string) => `New name of ${visible(name)}`,
      save: 'Save the name',
      menuOf: (name: string) => `Actions for ${visible(name)}`,
      open: 'Open',
      download: 'Download',
      zip: 'files',
      rename: 'Rename',
      versions: 'Versions',
      remove: 'Delete',
      restore: 'Restore',
      undo: 'Undo',
      view: 'View',
      copy: 'Copy',
      copied: (name: string) => `Copied to ${visible(name)}`,
      renamed: (name: string) => `Renamed to ${visible(name)}`,
      slash: 'A name can’t have a slash (/): it separates folders. To change the folder, choose “Move”.',
      notUndone: (why: string) => `Not undone: ${why}`,
      deleted: (name: string) => `Moved to the trash: ${visible(name)}`,
      deletedForGood: (name: string) => `Deleted for good: ${visible(name)}`,
      removed: (name: string) => `Deleted: ${visible(name)}`,
      restored: (name: string) => `Restored: ${visible(name)}`,
      downloadFailed: (name: string) => `Download failed: ${visible(name)}`,
      deleteForGood: 'Delete for good',
      usage: {
        files: (count: number) => plural(count, { one: '# file', other: '# files' }),
        folders: (count: number) => plural(count, { one: '# folder', other: '# folders' })
      }
    },
    selection: {
      label: 'Selection',
      of: (name: string) => `Select ${visible(name)}`,
      all: 'Select all',
      chosen: (count: number) => `${number(count)} selected`,
      items: (count: number) => plural(count, { one: '# item', other: '# items' }),
      end: 'End the selection',
      stop: 'Stop',
      running: {
        remove: 'Deleting',
        move: 'Moving',
        copy: 'Copying',
        restore: 'Restoring',
        deleteForGood: 'Deleting for good',
        star: 'Changing stars'
      },
      progress: (act: string, done: number, all: number) => `${act} ${number(done)} of ${number(all)}`,
      deleted: (items: string) => `Moved to the trash: ${items}`,
      removed: (items: string) => `Deleted: ${items}`,
      deletedForGood: (items: string) => `Deleted for good: ${items}`,
      restored: (items: string) => `Restored: ${items}`,
      moved: (items: string, folder: string) => `Moved to ${folder === '' ? 'Files' : visible(folder)}: ${items}`,
      movedBack: (items: string) => `Moved back: ${items}`,
      copied: (items: string, folder: string) => `Copied to ${folder === '' ? 'Files' : visible(folder)}: ${items}`
    },
    folders: {
      path: 'Path of the folder',
      kind: 'Folder',
      create: 'New folder',
      created: (name: string) => `Folder created: ${visible(name)}`,
      add: 'Add a folder',
      move: 'Move',
      moved: (name: string, folder: string) =>
        `Moved to ${folder === '' ? 'Files' : visible(folder)}: ${visible(name)}`,
      movedBack: (name: string) => `Moved back: ${visible(name)}`,
      deleted: (name: string) => `Moved to the trash with its contents: ${visible(name)}`,
      restored: (count: number) => plural(count, { one: '# file restored.', other: '# files restored.' }),
      kept: (count: number) => `${number(count)} could not be restored and stayed in the trash.`
    },
    details: {
      show: 'Details'
    },
    uploads: {
      photos: 'Upload photos',
      add: 'Add files',
      dropHere: 'Drop files to upload them',
      dropInto: (folder: string) => `Drop files to upload them to ${visible(folder)}`,
      leftOut: (count: number, names: string) =>
        `${plural(count, { one: 'Left out a system file', other: 'Left out # system files' })}: ${names}.`,
      folderUnreadable: (name: string) => `The folder ${visible(name)} could not be read completely.`,
      fileUnreadable: 'The file can no longer be read',
      fileUnreadableDetail: 'It was changed, moved or deleted. Add it again.',
      elsewhere: 'Another window or device is sending this upload',
      elsewhereDetail: 'Try again to continue it here.',
      ended: 'The upload was ended by another window or device',
      endedDetail: 'Try again to upload the file from the beginning.',
      nameImpossible: 'A file can’t have this name',
      announced: {
        added: (count: number) => `Uploading ${number(count)} files.`,
        addedOne: (name: string) => `Uploading ${visible(name)}.`,
        stored: (count: number) => `${number(count)} files uploaded.`,
        storedOne: (name: string) => `${visible(name)} uploaded.`,
        cancelled: (count: number) => `${number(count)} uploads cancelled.`,
        cancelledOne: (name: string) => `Upload of ${visible(name)} cancelled.`,
        failed: (count: number) => `${number(count)} uploads failed.`,
        failedOne: (name: string, why: string) => `Upload of ${visible(name)} failed: ${why}.`,
        conflict: (count: number) => `${number(count)} files already exist. Choose in the list of uploads what to do.`,
        conflictOne: (name: string) =>
          `A file named ${visible(name)} already exists. Choose in the list of uploads what to do.`,
        resumable: (count: number) =>
          `${number(count)} unfinished uploads exist. Choose in the list of uploads what to do.`,
        resumableOne: (name: string) =>
          `An unfinished upload of ${visible(name)} exists. Choose in the list of uploads what to do.`,
        progress: (percent: string, name: string) => `${percent} of ${visible(name)} sent.`
      }
    },
    shortcuts: {
      title: 'Keyboard shortcuts'
    },
    factors: {
      isSetUp: 'Your second factor is set up. Now sign in with it.',
      noHost: 'Passkeys can’t be used: the address of this server has no name, or no HTTPS.',
      otherHost: (host: string) => `Passkeys can’t be used at this address, only at ${host}.`,
      noPasskeys: 'This browser has no passkeys.',
      passkeyKnown: 'This device already has a passkey of your account.',
      passkeyUnused: 'The browser did not use a passkey.'
    },
    claimTitles: { invitation: 'Create your account', reset: 'Set a new password' },
    links: {
      of: 'Link…',
      request: 'Request files…',
      has: 'has a link',
      arrived: (count: number, name: string) => {
        const files = plural(count, { one: 'Arrived by a link', other: '# files arrived by links, the last one' })
        return `${files}: ${visible(name)}`
      },
      allRevoked: 'All links are revoked.',
      stayAfterPassword: 'Your links stay valid.',
      revokeAllLinks: 'Revoke all links'
    },
    account: {
      passwordChanged: 'The password has changed. All other sessions and all tokens have ended.'
    }
  }
}

export type PageTexts = ReturnType<typeof texts>
