import { frameTexts } from './frame-texts.ts'
import { visibleName } from './visible-name.ts'

/** Every text of the page of an account, in English. A translation is another object of this shape. */
export const texts = {
  ...frameTexts,
  cancel: 'Cancel',
  copy: 'Copy',
  copied: 'Copied.',
  copyByHand: 'The text is selected. Copy it with Ctrl+C or ⌘C.',
  dismiss: 'Dismiss',
  breakLock: 'Break the lock',
  breakLockHint: 'Do this only if no other program is changing it.',
  lockBroken: 'The lock is broken. Try again.',
  skipToMain: 'Skip to the content',
  navigation: 'Pages',
  views: { files: 'Files', links: 'Links', trash: 'Trash', account: 'Account' },
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
    upHint: 'Choose a username and a password. Only the operator of this server can reset a forgotten password.',
    closed: 'Only the operator of this server can create accounts.',
    welcome: 'Your private files: upload them here, get them back anywhere.'
  },
  files: {
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
      '-changed': 'Changed last first',
      changed: 'Changed first first',
      largest: 'Largest first',
      smallest: 'Smallest first',
      name: 'Folder after folder'
    },
    order: 'Order',
    search: 'Search names…',
    scope: 'Where to search',
    scopes: { folder: 'In this folder', everywhere: 'Everywhere' },
    inFolder: (path: string) => `Show in ${path}`,
    found: (count: string, isAll: boolean) => `${isAll ? count : `More than ${count}`} found.`,
    foundPart: (count: string) => `${count} found, and perhaps more: search folder after folder to find all.`,
    searchFailed: 'The search failed.',
    nothingFound: 'No name in this folder or below contains',
    nothingFoundAnywhere: 'No name contains',
    nothingFoundYet: 'None of the first 100,000 names contains',
    searchAll: 'Search all names',
    showInFolder: 'Show in its folder',
    jump: 'A–Z: jump to a letter',
    letters: 'A–Z',
    layout: 'Layout',
    layouts: { list: 'List', tiles: 'Tiles' },
    empty: 'No files yet',
    emptyHint: 'Drop files or folders anywhere on this page, paste files, or choose them with the buttons above.',
    menuOf: (name: string) => `Actions for ${visibleName(name)}`,
    open: 'Open',
    download: 'Download',
    zip: 'files',
    rename: 'Rename',
    versions: 'Versions',
    remove: 'Delete',
    restore: 'Restore',
    undo: 'Undo',
    view: 'View',
    save: 'Save the name',
    newName: (name: string) => `New name of ${visibleName(name)}`,
    copy: 'Copy',
    copyTitle: (name: string) => `Copy ${visibleName(name)}`,
    copyName: 'Name of the copy',
    copySubmit: 'Make the copy',
    copied: (name: string) => `Copied to ${visibleName(name)}`,
    renamed: (name: string) => `Renamed to ${visibleName(name)}`,
    slash: 'A name can’t have a slash (/): it separates folders. To change the folder, choose “Move”.',
    notUndone: (why: string) => `Not undone: ${why}`,
    deleted: (name: string) => `Moved to the trash: ${visibleName(name)}`,
    deletedForGood: (name: string) => `Deleted for good: ${visibleName(name)}`,
    removed: (name: string) => `Deleted: ${visibleName(name)}`,
    restored: (name: string) => `Restored: ${visibleName(name)}`,
    previous: 'Previous file',
    next: 'Next file',
    noPreview: 'There is no preview for files of this type.',
    noPdfViewer: 'This browser has no viewer for PDF files. Download the file to see it.',
    insecure: 'The browser shows this file only over HTTPS. Download the file to see it.',
    noWorker: 'The browser runs no service worker here, and cannot show this file without one. ' +
      'Download the file to see it.',
    brokenPreview: 'The browser can’t show this file.',
    cut: (shown: string, whole: string) => `The first ${shown} of ${whole}. Download the file to see all of it.`,
    details: {
      type: 'Type',
      size: 'Size',
      created: 'Added',
      updated: 'Changed',
      modified: 'Date of the file',
      stored: 'Stored',
      replaced: 'Replaced',
      sha256: 'SHA-256'
    },
    more: 'More',
    downloadFailed: (name: string) => `Download failed: ${visibleName(name)}`,
    notCopied: 'The browser does not allow copying.',
    versionsOf: (name: string) => `Versions of ${visibleName(name)}`,
    versionOf: (time: string) => `Version of ${time}`,
    current: (size: string, time: string) => `Current content: ${size}, ${time}`,
    noVersions: 'This file has no older versions.',
    keptUntil: (time: string) => `kept until ${time}`,
    versionRestored: (name: string, time: string) => `Restored the version of ${time}: ${visibleName(name)}`,
    versionDeleted: (time: string) => `Deleted for good: the version of ${time}`,
    deleteVersion: 'Delete this version for good?',
    deleteVersionOf: (time: string) =>
      `This deletes the version of ${time} and cannot be undone. The file itself stays:`,
    deleteForGood: 'Delete for good',
    deleteForGoodNamed: (name: string) => `Delete ${visibleName(name)} for good`,
    deleteForGoodTitle: 'Delete this file for good?',
    deleteForGoodOf: (versions: number) => {
      if (versions === 0) return 'This cannot be undone:'
      const deleted = versions === 1 ? 'its older version' : `its ${versions} older versions`
      return `This also deletes ${deleted} and cannot be undone:`
    },
    restoreOf: (name: string) => `Restore ${visibleName(name)}`,
    restoreAs: 'Restore under another name',
    nameTaken: 'This name is taken:',
    otherName: 'Name of the restored file',
    emptyTrash: 'Empty the trash',
    emptyTrashWarning: 'This deletes everything in the trash. This cannot be undone.',
    deleteAllForGood: 'Delete all for good',
    andOthers: (count: number, isAll: boolean) => `and ${isAll ? count : `more than ${count}`} others`,
    trashEmptied: 'The trash is empty.',
    trashEmpty: 'The trash is empty',
    trashHint: 'Deleted files stay here for some time, and can be restored.',
    deletedFrom: (content: string, folder: string) =>
      `${content} from ${folder === '' ? 'Files' : visibleName(folder)}`,
    restoreAll: 'Restore all',
    deleteThisForGood: 'Delete this for good?',
    deleteContent: (content: string) => `This deletes ${content} with their older versions, and cannot be undone:`,
    deletedFolders: 'Folders that are restored with it:',
    usage: {
      label: 'Storage',
      files: (count: string) => count === '1' ? '1 file' : `${count} files`,
      folders: (count: string) => count === '1' ? '1 folder' : `${count} folders`,
      kept: (size: string) => `${size} in versions and trash`,
      uploading: (size: string) => `${size} being uploaded`,
      ofBytes: (size: string) => `of ${size}`,
      ofFiles: (count: string) => `at most ${count} files and folders`
    }
  },
  selection: {
    label: 'Selection',
    of: (name: string) => `Select ${visibleName(name)}`,
    all: 'Select all',
    chosen: (count: string) => `${count} selected`,
    items: (count: string) => count === '1' ? '1 item' : `${count} items`,
    end: 'End the selection',
    stop: 'Stop',
    running: {
      remove: 'Deleting',
      move: 'Moving',
      copy: 'Copying',
      restore: 'Restoring',
      deleteForGood: 'Deleting for good'
    },
    progress: (done: string, all: string) => `${done} of ${all}`,
    deleted: (items: string) => `Moved to the trash: ${items}`,
    removed: (items: string) => `Deleted: ${items}`,
    deletedForGood: (items: string) => `Deleted for good: ${items}`,
    restored: (items: string) => `Restored: ${items}`,
    moved: (items: string, folder: string) => `Moved to ${folder === '' ? 'Files' : visibleName(folder)}: ${items}`,
    movedBack: (items: string) => `Moved back: ${items}`,
    copied: (items: string, folder: string) => `Copied to ${folder === '' ? 'Files' : visibleName(folder)}: ${items}`,
    lostTitle: (count: string) => count === '1'
      ? 'Delete an older version or deleted file for good?'
      : `Delete ${count} older versions and deleted files for good?`,
    lostHint: 'The trash has no room for all of this. If you delete it, what is the oldest in the trash goes:',
    goOn: 'Delete all the same',
    refusals: {
      name_invalid: 'The path would be too long.',
      folder_into_itself: 'A folder can’t be put into itself.',
      not_found: 'It is not there any more.',
      name_taken: 'The name is taken there.',
      parent_missing: 'The folder is not there any more.',
      folder_not_empty: 'Something was added to it meanwhile.',
      precondition_failed: 'Another file or folder has this name by now.',
      quota_exceeded: 'There is no room for it.',
      extension_not_allowed: 'The server does not accept files with this ending.',
      file_locked: 'Another program has locked it.',
      file_damaged: 'Its stored bytes are damaged.'
    },
    removeTitle: (items: string) => `Delete ${items}?`,
    removeHint: 'This deletes everything in these folders:',
    deleteForGoodTitle: (items: string) => `Delete ${items} for good?`,
    deleteForGoodHint: 'This also deletes their older versions and cannot be undone:',
    deleteAllHint: 'This deletes everything in them too, and cannot be undone:',
    failed: {
      remove: (items: string) => `Not deleted: ${items}`,
      move: (items: string) => `Not moved: ${items}`,
      copy: (items: string) => `Not copied: ${items}`,
      restore: (items: string) => `Not restored: ${items}`,
      deleteForGood: (items: string) => `Not deleted: ${items}`
    }
  },
  folders: {
    path: 'Path of the folder',
    kind: 'Folder',
    create: 'New folder',
    name: 'Name of the folder',
    submit: 'Create',
    created: (name: string) => `Folder created: ${visibleName(name)}`,
    add: 'Add a folder',
    empty: 'This folder is empty',
    missing: 'There is no folder of this name',
    missingHint: 'It may have been renamed, moved or deleted.',
    goUp: 'Go up to',
    move: 'Move',
    acts: {
      move: { title: (name: string) => `Move ${visibleName(name)}`, submit: 'Move here' },
      copy: { title: (name: string) => `Copy ${visibleName(name)}`, submit: 'Copy here' }
    },
    noneInside: 'No other folders in here.',
    moved: (name: string, folder: string) =>
      `Moved to ${folder === '' ? 'Files' : visibleName(folder)}: ${visibleName(name)}`,
    movedBack: (name: string) => `Moved back: ${visibleName(name)}`,
    removeTitle: 'Delete this folder?',
    removeHint: 'This deletes everything in the folder:',
    deleted: (name: string) => `Moved to the trash with its contents: ${visibleName(name)}`,
    restored: (count: string) => count === '1' ? '1 file restored.' : `${count} files restored.`,
    kept: (count: string) => `${count} could not be restored and stayed in the trash.`
  },
  details: {
    show: 'Details',
    titleOf: (name: string) => `Details of ${visibleName(name)}`,
    folder: 'Folder',
    contents: 'Contents',
    counting: 'Counting…',
    countAgain: 'Count again',
    versions: 'Older versions',
    showVersions: 'Versions',
    links: 'Links',
    none: 'None'
  },
  uploads: {
    title: 'Uploads',
    add: 'Add files',
    dropHere: 'Drop files to upload them',
    dropInto: (folder: string) => `Drop files to upload them to ${visibleName(folder)}`,
    leftOut: (count: string, names: string) =>
      `Left out ${count === '1' ? 'a system file' : `${count} system files`}: ${names}.`,
    folderUnreadable: (name: string) => `The folder ${visibleName(name)} could not be read completely.`,
    fileUnreadable: 'The file can no longer be read',
    fileUnreadableDetail: 'It was changed, moved or deleted. Add it again.',
    elsewhere: 'Another window or device is sending this upload',
    elsewhereDetail: 'Try again to continue it here.',
    ended: 'The upload was ended by another window or device',
    endedDetail: 'Try again to upload the file from the beginning.',
    nameImpossible: 'A file can\'t have this name',
    pauseAll: 'Pause all',
    resumeAll: 'Resume all',
    clearFinished: 'Clear finished',
    list: 'List of uploads',
    more: (count: string) => `and ${count} more`,
    pause: (name: string) => `Pause ${visibleName(name)}`,
    resume: (name: string) => `Resume ${visibleName(name)}`,
    cancel: (name: string) => `Cancel ${visibleName(name)}`,
    cancelUnfinished: (name: string) => `Cancel the unfinished upload of ${visibleName(name)}`,
    progressOf: (name: string) => `Progress of ${visibleName(name)}`,
    summary: {
      uploading: (done: string, all: string) => `${done} of ${all} uploaded`,
      done: (all: string) => all === '1' ? '1 file uploaded' : `${all} files uploaded`,
      paused: (count: string) => `${count} paused`,
      questions: (count: string) => count === '1' ? '1 question' : `${count} questions`,
      failed: (count: string) => `${count} failed`,
      unfinished: (count: string) => `${count} unfinished`
    },
    state: {
      waiting: 'Waiting',
      behind: 'Waiting for another upload of this name',
      paused: (done: string, all: string) => `Paused at ${done} of ${all}`,
      stored: (size: string) => `Uploaded, ${size}`,
      running: (done: string, all: string) => `${done} of ${all}`,
      finishing: 'Finishing…',
      speed: (speed: string) => `${speed}/s`,
      timeLeft: (time: string) => `${time} left`,
      interrupted: (why: string) => `${why.replace(/[.]$/, '')}. This upload continues by itself.`,
      sessionEnded: 'This upload continues when you have signed in again.'
    },
    conflict: {
      question: (name: string) => `A file named ${visibleName(name)} already exists.`,
      existing: (size: string, time: string) => `The stored file: ${size}, changed ${time}.`,
      replace: 'Replace it',
      keep: 'Keep both',
      skip: 'Skip',
      forAll: 'Do the same for the remaining files'
    },
    resumable: {
      question: (name: string) => `An unfinished upload of ${visibleName(name)} has the same size.`,
      explanation: 'Continue only if the file has not changed since.',
      continue: 'Continue',
      startAgain: 'Start again'
    },
    rename: { label: 'Another name', submit: 'Upload under this name' },
    shared: {
      title: 'Upload the shared files?',
      hint: 'Another app or page gave these files to MagicStore:',
      add: 'Upload',
      discard: 'Discard'
    },
    unfinished: {
      title: 'Not finished',
      explanation: 'To continue an upload, choose the same file again.',
      progress: (done: string, all: string) => `${done} of ${all} stored`,
      sizeUnknown: (done: string) => `${done} stored`,
      choose: 'Choose the file',
      chooseFor: (name: string) => `Choose the file ${visibleName(name)} to continue its upload`
    },
    announced: {
      added: (count: string) => `Uploading ${count} files.`,
      addedOne: (name: string) => `Uploading ${visibleName(name)}.`,
      stored: (count: string) => `${count} files uploaded.`,
      storedOne: (name: string) => `${visibleName(name)} uploaded.`,
      cancelled: (count: string) => `${count} uploads cancelled.`,
      cancelledOne: (name: string) => `Upload of ${visibleName(name)} cancelled.`,
      failed: (count: string) => `${count} uploads failed.`,
      failedOne: (name: string, why: string) => `Upload of ${visibleName(name)} failed: ${why}.`,
      conflict: (count: string) => `${count} files already exist. Choose in the list of uploads what to do.`,
      conflictOne: (name: string) =>
        `A file named ${visibleName(name)} already exists. Choose in the list of uploads what to do.`,
      resumable: (count: string) => `${count} unfinished uploads exist. Choose in the list of uploads what to do.`,
      resumableOne: (name: string) =>
        `An unfinished upload of ${visibleName(name)} exists. Choose in the list of uploads what to do.`,
      progress: (percent: string, name: string) => `${percent} of ${visibleName(name)} sent.`
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
  claim: {
    invitation: {
      title: 'Create your account',
      hint: 'You are invited to this server. Choose how you want to sign in.',
      submit: 'Create the account'
    },
    reset: {
      title: 'Set a new password',
      hint: 'This signs you out everywhere, and ends all personal access tokens.',
      submit: 'Set the password'
    },
    over: 'This link has been used, or has expired. Ask the operator of this server for another one.',
    resetDone: 'The new password is set. Sign in with it.',
    toSignIn: 'Sign in instead'
  },
  links: {
    of: 'Link…',
    request: 'Request files…',
    has: 'has a link',
    arrived: (count: string, name: string) => count === '1'
      ? `Arrived by a link: ${visibleName(name)}`
      : `${count} files arrived by links, the last one is ${visibleName(name)}`,
    allRevoked: 'All links are revoked.',
    stayAfterPassword: 'Your links stay valid.',
    revokeAllLinks: 'Revoke all links'
  },
  account: {
    passwordChanged: 'The password has changed. All other sessions and all tokens have ended.'
  }
} as const
