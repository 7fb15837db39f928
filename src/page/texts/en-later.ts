import type { Tools } from './tools.ts'

/** What a user signed in with. */
const factorWords = {
  password: 'password',
  totp: 'one-time code',
  passkey: 'passkey',
  recovery_code: 'recovery code',
  oidc: 'identity provider'
}
export type Factor = keyof typeof factorWords

/** The texts of what is not in the first view of the page of an account. */
export const texts = ({ visible, number, plural, provider }: Tools<'en'>) => ({
  problems: {
    too_many_connection_codes: 'Too many wrong codes',
    folder_into_itself: 'A folder can’t be put into itself',
    parent_missing: 'The folder is not there any more',
    folder_not_empty: 'Something was added to it meanwhile',
    trash_full: 'The trash has no room for all of this',
    zip_too_large: 'This is too much for one zip',
    too_many_acts: 'Too much is being changed at this moment',
    too_many_waiting: 'Too many windows are open',
    passkey_invalid: 'The passkey can’t be registered',
    passkeys_unavailable: 'This server can’t have passkeys',
    second_factor_missing: 'Your account has no second factor',
    factor_not_pending: 'This took too long: begin again',
    sign_in_required: 'Sign in with your identity provider first',
    too_many_passkeys: 'You have as many passkeys as an account can have',
    too_many_tokens: 'You have as many tokens as an account can have',
    too_many_links: 'You have as many links as an account can have',
    link_address_unknown: 'The server no longer knows the address of this link',
    cross_site_request: 'The request came from another site'
  },
  problemHints: {
    scopes: 'Choose what the token may do.',
    expiresAt: 'The last day must be in the future, and not later than the server allows.'
  },
  copyByHand: 'The text is selected. Copy it with Ctrl+C or ⌘C.',
  files: {
    nothingFound: 'No name in this folder or below contains',
    nothingFoundAnywhere: 'No name contains',
    nothingFoundYet: `None of the first ${number(100_000)} names contains`,
    searchAll: 'Search all names',
    empty: 'No files yet',
    emptyHint: 'Drop files or folders anywhere on this page, paste files, or choose them with the buttons above.',
    emptyWays: 'By a drive on your computer, or from your phone: how to',
    nothingIn: {
      recent: { title: 'Nothing here yet', hint: 'The files that changed last appear here, from all folders.' },
      starred: {
        title: 'Nothing has a star yet',
        hint: 'Give a star to a file or folder in its menu, and find it here.'
      }
    },
    trashEmptied: 'The trash is empty.',
    andOthers: (count: number, isAll: boolean) => isAll
      ? plural(count, { one: 'and 1 other', other: 'and # others' })
      : `and more than ${number(count)} others`,
    deletedFrom: (content: string, folder: string) =>
      `${content} from ${folder === '' ? 'Files' : visible(folder)}`,
    copyTitle: (name: string) => `Copy ${visible(name)}`,
    copyName: 'Name of the copy',
    copySubmit: 'Make the copy',
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
    notCopied: 'The browser does not allow copying.',
    versionsOf: (name: string) => `Versions of ${visible(name)}`,
    versionOf: (time: string) => `Version of ${time}`,
    current: (size: string, time: string) => `Current content: ${size}, ${time}`,
    noVersions: 'This file has no older versions.',
    keptUntil: (time: string) => `kept until ${time}`,
    versionRestored: (name: string, time: string) => `Restored the version of ${time}: ${visible(name)}`,
    versionDeleted: (time: string) => `Deleted for good: the version of ${time}`,
    deleteVersion: 'Delete this version for good?',
    deleteVersionOf: (time: string) =>
      `This deletes the version of ${time} and cannot be undone. The file itself stays:`,
    deleteForGoodNamed: (name: string) => `Delete ${visible(name)} for good`,
    deleteForGoodTitle: 'Delete this file for good?',
    deleteForGoodOf: (versions: number) => {
      if (versions === 0) return 'This cannot be undone:'
      return plural(versions, {
        one: 'This also deletes its older version and cannot be undone:',
        other: 'This also deletes its # older versions and cannot be undone:'
      })
    },
    restoreOf: (name: string) => `Restore ${visible(name)}`,
    restoreAs: 'Restore under another name',
    nameTaken: 'This name is taken:',
    otherName: 'Name of the restored file',
    emptyTrash: 'Empty the trash',
    emptyTrashWarning: 'This deletes everything in the trash. This cannot be undone.',
    deleteAllForGood: 'Delete all for good',
    trashEmpty: 'The trash is empty',
    trashHint: 'Deleted files stay here for some time, and can be restored.',
    restoreAll: 'Restore all',
    deleteThisForGood: 'Delete this for good?',
    deleteContent: (content: string) => `This deletes ${content} with their older versions, and cannot be undone:`,
    deletedFolders: 'Folders that are restored with it:',
    previous: 'Previous file',
    next: 'Next file'
  },
  selection: {
    lostTitle: (count: number) => plural(count, {
      one: 'Delete an older version or deleted file for good?',
      other: 'Delete # older versions and deleted files for good?'
    }),
    lostHint: 'The trash has no room for all of this. If you delete it, what is the oldest in the trash goes:',
    goOn: 'Delete all the same',
    removeTitle: (items: string) => `Delete ${items}?`,
    removeHint: 'This deletes everything in these folders:',
    deleteForGoodTitle: (items: string) => `Delete ${items} for good?`,
    deleteAllHint: 'This deletes everything in them too, and cannot be undone:',
    failed: {
      remove: (items: string) => `Not deleted: ${items}`,
      move: (items: string) => `Not moved: ${items}`,
      copy: (items: string) => `Not copied: ${items}`,
      restore: (items: string) => `Not restored: ${items}`,
      deleteForGood: (items: string) => `Not deleted: ${items}`,
      star: (items: string) => `Stars not changed: ${items}`
    },
    stopped: 'Stopped: its copy may be missing or incomplete.',
    deleteForGoodHint: 'This also deletes their older versions and cannot be undone:'
  },
  folders: {
    empty: 'This folder is empty',
    missing: 'There is no folder of this name',
    missingHint: 'It may have been renamed, moved or deleted.',
    goUp: 'Go up to',
    name: 'Name of the folder',
    submit: 'Create',
    noneInside: 'No other folders in here.',
    acts: {
      move: { title: (name: string) => `Move ${visible(name)}`, submit: 'Move here' },
      copy: { title: (name: string) => `Copy ${visible(name)}`, submit: 'Copy here' }
    },
    removeTitle: 'Delete this folder?',
    removeHint: 'This deletes everything in the folder:'
  },
  details: {
    titleOf: (name: string) => `Details of ${visible(name)}`,
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
    pauseAll: 'Pause all',
    resumeAll: 'Resume all',
    clearFinished: 'Clear finished',
    list: 'List of uploads',
    more: (count: number) => `and ${number(count)} more`,
    summary: {
      uploading: (done: number, all: number) => `${number(done)} of ${number(all)} uploaded`,
      done: (all: number) => plural(all, { one: '# file uploaded', other: '# files uploaded' }),
      paused: (count: number) => `${number(count)} paused`,
      questions: (count: number) => plural(count, { one: '# question', other: '# questions' }),
      failed: (count: number) => `${number(count)} failed`,
      unfinished: (count: number) => `${number(count)} unfinished`
    },
    cancelUnfinished: (name: string) => `Cancel the unfinished upload of ${visible(name)}`,
    pause: (name: string) => `Pause ${visible(name)}`,
    resume: (name: string) => `Resume ${visible(name)}`,
    cancel: (name: string) => `Cancel ${visible(name)}`,
    progressOf: (name: string) => `Progress of ${visible(name)}`,
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
      question: (name: string) => `A file named ${visible(name)} already exists.`,
      existing: (size: string, time: string) => `The stored file: ${size}, changed ${time}.`,
      replace: 'Replace it',
      keep: 'Keep both',
      skip: 'Skip',
      forAll: 'Do the same for the remaining files'
    },
    resumable: {
      question: (name: string) => `An unfinished upload of ${visible(name)} has the same size.`,
      explanation: 'Continue only if the file has not changed since.',
      continue: 'Continue',
      startAgain: 'Start again'
    },
    shared: {
      title: 'Upload the shared files?',
      hint: 'Another app or page gave these files to MagicStore:',
      add: 'Upload',
      discard: 'Discard'
    },
    rename: { label: 'Another name', submit: 'Upload under this name' },
    unfinished: {
      title: 'Not finished',
      explanation: 'To continue an upload, choose the same file again.',
      progress: (done: string, all: string) => `${done} of ${all} stored`,
      sizeUnknown: (done: string) => `${done} stored`,
      choose: 'Choose the file',
      chooseFor: (name: string) => `Choose the file ${visible(name)} to continue its upload`
    }
  },
  claim: {
    invitation: {
      hint: 'You are invited to this server. Choose how you want to sign in.',
      submit: 'Create the account'
    },
    reset: {
      hint: 'This signs you out everywhere, and ends all personal access tokens.',
      submit: 'Set the password'
    },
    over: 'This link has been used, or has expired. Ask the operator of this server for another one.',
    resetDone: 'The new password is set. Sign in with it.',
    toSignIn: 'Sign in instead'
  },
  factors: {
    title: 'Second factor',
    sectionHint: 'With a second factor, nobody can sign in with your password alone. ' +
      'Personal access tokens still work.',
    totp: 'One-time codes',
    totpHint: 'From an authenticator app on your phone or computer.',
    totpSince: (date: string) => `On since ${date}`,
    setUpTotp: 'Set up one-time codes',
    replaceTotp: 'Use another app',
    removeTotp: 'Turn off',
    removeTotpLabel: 'Turn off one-time codes',
    removeTotpTitle: 'Turn off one-time codes?',
    removeHint: 'If no other second factor is left, your password alone is enough, and your recovery codes end.',
    totpOn: 'One-time codes are on.',
    totpOff: 'One-time codes are off.',
    passkeys: 'Passkeys',
    passkeysHint: 'Sign in with your fingerprint, your face, a PIN or a security key.',
    addPasskey: 'Add a passkey',
    passkeyName: 'Name of the passkey',
    passkeyNameExample: 'Such as: laptop',
    passkeyAdded: (name: string) => `Passkey added: ${visible(name)}`,
    passkeyRemoved: (name: string) => `Passkey removed: ${visible(name)}`,
    removePasskey: 'Remove',
    removePasskeyOf: (name: string) => `Remove the passkey ${visible(name)}`,
    removePasskeyTitle: 'Remove this passkey?',
    recoveryCodes: 'Recovery codes',
    codesLeft: (count: number) => `${number(count)} left, each for one sign-in without your app or passkey.`,
    newCodes: 'Make new ones',
    newCodesTitle: 'Make new recovery codes?',
    newCodesHint: 'The old ones end.',
    codesShownOnce: 'Keep these recovery codes in a safe place. ' +
      'Each lets you in once, if you lose your app or passkey. They are shown only this once.',
    printed: (host: string, username: string) => `MagicStore at ${host}, recovery codes of ${username}`,
    print: 'Print',
    continue: 'Continue',
    label: { totp: 'Code from your authenticator app', recovery: 'Recovery code' },
    hint: {
      totp: 'Six digits. Each code works once: if you have just used it, wait for the next one.',
      recovery: 'One of the codes that you kept when you set up your second factor. Each works once.'
    },
    toKind: { totp: 'Use a code from an app', recovery: 'Use a recovery code' },
    usePasskey: 'Use a passkey',
    codeOfOldApp: 'Confirm with the second factor that you have now.',
    nextCodeOfOldApp: 'Confirm once more with the second factor that you have had, not with the new app.',
    confirmPasskey: 'The passkey is made. Confirm once more to add it to your account.',
    confirmSession: 'The password has changed. Confirm once more to stay signed in.',
    scan: 'Scan this with an authenticator app, or enter the key there.',
    qrCode: 'QR code of the key',
    key: 'Key',
    openApp: 'Open an app on this device',
    turnOn: 'Turn on',
    setUpTitle: 'Set up a second factor',
    setUpHint: 'This server lets nobody in with a password alone. Choose what you want to use beside it.'
  },
  account: {
    devices: {
      title: 'Other devices',
      drive: 'Drive',
      driveHint: 'Connect to this address (WebDAV) in the file manager of your computer. Sign in with your username, ' +
        'and as the password a token that can read and change files: make one below.',
      copy: 'Copy the address of the drive',
      phone: 'Phone',
      phoneHint: 'Scan the code to open this page. “Add to home screen” in the menu of the browser there ' +
        'keeps it like ' +
        'an app.',
      code: 'QR code of the address of this page',
      program: 'Program',
      programHint: 'A program that shows you a code of eight letters gets a token of its own, for 90 days.',
      enterCode: 'Enter a code'
    },
    connect: {
      title: 'Connect a program',
      code: 'Code',
      codeHint: 'The eight letters that the program shows. Type them only if you have started it yourself.',
      continue: 'Continue',
      unknown: 'No program waits with this code. It may have expired: ask the program for a new one.',
      allowTitle: 'Allow this program?',
      networks: (network: string, own: string) => `The program is at ${network}; you are at ${own}.`,
      warning: 'If somebody else has told you this code, refuse: they would get at your files.',
      allow: 'Allow',
      refuse: 'Refuse',
      allowed: (name: string) => `Connected: ${visible(name)}`
    },
    secretCode: 'QR code of the token',
    asDrive: (address: string, username: string) =>
      `As a drive (WebDAV): the address ${address}, the username ${visible(username)}, and this token as the password.`,
    storage: {
      label: 'Storage',
      kept: (size: string) => `${size} in versions and trash`,
      uploading: (size: string) => `${size} being uploaded`,
      ofBytes: (size: string) => `of ${size}`,
      ofFiles: (count: number) => `at most ${number(count)} files and folders`
    },
    languages: {
      title: 'Language',
      hint: 'For this page and the pages of links, in this browser.',
      asBrowser: 'As the browser'
    },
    profile: 'Profile',
    username: 'Username',
    since: 'Member since',
    password: 'Password',
    passwordHint: 'A new password ends all other sessions and all personal access tokens. You stay signed in here.',
    currentPassword: 'Current password',
    newPassword: 'New password',
    changePassword: 'Change the password',
    tokens: 'Personal access tokens',
    tokensHint: 'For scripts and programs, so that they do not need your password.',
    tokensHintWithoutPassword:
      `For scripts and programs. They rest if you have not signed in with ${provider} for some time.`,
    noTokens: 'You have no personal access tokens.',
    newToken: 'New token',
    tokenName: 'Name',
    tokenNameExample: 'Such as: backup script',
    scopesOfToken: 'What the token may do',
    scopes: {
      'files:read': { name: 'Read files', hint: 'List and download files, versions and the trash.' },
      'files:write': { name: 'Change files', hint: 'Upload, replace, rename, delete and restore files.' },
      account: { name: 'Revoke tokens', hint: 'End any session or token of your account.' },
      links: { name: 'Give files away', hint: 'Create, change and revoke links.' }
    },
    expiry: 'It expires',
    lifetimes: {
      '30 days': 'In 30 days', '90 days': 'In 90 days', year: 'In a year', date: 'On a date', never: 'Never'
    },
    lastDay: 'Last day of the token',
    neverHint: 'Anyone who has the token can use it until you revoke it.',
    createToken: 'Create the token',
    tokenCreated: 'Token created',
    shownOnce: 'Copy the token now. It is shown only this once.',
    secret: 'Token',
    done: 'Done',
    created: (date: string) => `Created ${date}`,
    expires: (time: string) => `Expires ${time}`,
    neverExpires: 'Never expires',
    used: (time: string) => `Last used ${time}`,
    neverUsed: 'Never used',
    revoke: 'Revoke',
    revokeOf: (name: string) => `Revoke ${name}`,
    revokeTitle: 'Revoke this token?',
    revokeHint: 'Programs that use it are refused from now on. This cannot be undone.',
    sessions: 'Signed-in sessions',
    sessionsHint: 'Browsers in which you are signed in. A session ends after 30 days' +
      `${provider === '' ? '' : `, or sooner if it began with ${provider}`}.`,
    device: (browser: string | null, system: string | null) => browser === null
      ? system ?? 'Unknown browser'
      : system === null ? browser : `${browser} on ${system}`,
    signedIn: (time: string, factors: readonly Factor[]) => factors.length === 0
      ? `Signed in ${time}`
      : `Signed in ${time} with ${factors.map(factor => factorWords[factor]).join(' and ')}`,
    thisSession: 'This session',
    end: 'End',
    endOf: (device: string, time: string) => `End the session of ${time}, ${device}`,
    everywhere: 'Sign out everywhere',
    everywhereTitle: 'Sign out everywhere?',
    everywhereHint: 'This ends all sessions, this one too, and all personal access tokens.',
    signedOutEverywhere: 'You are signed out everywhere.',
    events: 'Recent events',
    eventsHint: (hasPassword: boolean) =>
      `If you do not recognise an event, ${hasPassword ? 'change your password' : 'tell the operator of this server'}.`,
    showMore: 'Show more',
    kinds: {
      registered: 'Account created',
      sign_in: 'Signed in',
      sign_in_failed: 'Failed sign-in',
      sign_in_new_network: 'Signed in from a new network',
      session_created: 'Signed in on this page',
      token_issued: 'Access token created',
      token_revoked: 'Session or token ended',
      tokens_revoked: 'All sessions and tokens ended',
      personal_token_created: 'Personal access token created',
      connection_allowed: 'Connection of a program allowed',
      connection_refused: 'Connection of a program refused',
      connection_expired: 'Connection of a program expired unused',
      password_changed: 'Password changed',
      factor_added: 'Second factor added',
      factor_removed: 'Second factor removed',
      recovery_codes_replaced: 'Recovery codes made anew',
      recovery_code_used: 'Recovery code used',
      passkey_refused: 'Passkey refused',
      second_factor_missing: 'Right password without a code, from a new network',
      second_factor_wrong: 'Right password, wrong code',
      identity_connected: 'Identity connected',
      identity_removed: 'Identity removed',
      identity_refused: 'Identity refused',
      password_removed: 'Password removed',
      invitation_used: 'Account created by an invitation',
      reset_created: 'Link for a new password created',
      password_reset: 'Password changed by a link',
      link_created: 'Link created',
      link_changed: 'Link changed',
      link_revoked: 'Link revoked',
      links_revoked: 'All links revoked',
      link_password_wrong: 'Wrong password of a link',
      disabled: 'Account disabled',
      enabled: 'Account enabled',
      quota_changed: 'Limit of the storage changed',
      trash_emptied: 'Trash emptied',
      files_restored: 'Files restored from a backup',
      files_imported: 'Files imported',
      account_exported: 'Account exported',
      account_removed: 'Account deleted'
    },
    networks: {
      operator: 'by the operator of the server',
      unknown: 'from an unknown network'
    },
    from: (network: string) => `from ${network}`,
    remove: 'Delete the account',
    removeHint: 'This deletes your account, all your files with their versions, the trash, ' +
      'and all sessions and tokens.',
    removeButton: 'Delete the account',
    removeTitle: 'Delete the account?',
    removeWarning: 'All your files are deleted at once. This cannot be undone.',
    typeUsername: 'Type your username to confirm:',
    notUsername: 'This is not your username.',
    removed: 'Your account and all your files are deleted.'
  },
  links: {
    titleOf: (name: string) => `Link to ${visible(name)}`,
    requestTitleOf: (name: string) => `Request files for ${visible(name)}`,
    hint: 'Anyone who has the link can download, without an account.',
    requestHint: 'Anyone who has the link can send files to this folder, and see nothing of it.',
    address: 'Link',
    create: 'Create link',
    another: 'Another link',
    share: 'Share…',
    qrCode: 'QR code',
    qrCodeOf: (name: string) => `QR code of the link to ${visible(name)}`,
    addressUnknown: 'The server no longer knows the address of this link. People who have it can still use it.',
    longest: 'As late as possible',
    listTitle: 'Your links',
    listHint: 'Files and folders that you share. ' +
      'Each link works without an account, until it expires or you revoke it.',
    none: 'You have no links',
    noneHint: 'Choose “Link…” in the menu of a file or folder to share it.',
    kinds: { download: 'Download', upload: 'Request for files' },
    withPassword: 'With a password',
    expired: 'Expired',
    full: 'Accepts no more',
    created: (date: string) => `Created ${date}`,
    expires: (time: string) => `Expires ${time}`,
    neverExpires: 'Never expires',
    used: (count: number, time: string) =>
      `${plural(count, { one: 'Used once', other: 'Used # times' })}, last ${time}`,
    neverUsed: 'Never used',
    received: (files: number, maxFiles: number, bytes: string, maxBytes: string) =>
      `${number(files)} of ${number(maxFiles)} files, ${bytes} of ${maxBytes}`,
    change: 'Change',
    changeOf: (name: string) => `Change the link to ${visible(name)}`,
    changed: 'The link is changed.',
    save: 'Save',
    newSecret: 'New address',
    newSecretOf: (name: string) => `Make a new address for the link to ${visible(name)}`,
    newSecretTitle: 'Make a new address?',
    newSecretHint: 'The old address of this link ends at once. Its settings stay:',
    revoke: 'Revoke',
    revokeOf: (name: string) => `Revoke the link to ${visible(name)}`,
    revokeTitle: 'Revoke this link?',
    revokeHint: 'Nobody can use it from now on. This cannot be undone:',
    revoked: 'The link is revoked.',
    revokeAll: 'Revoke all',
    revokeAllTitle: 'Revoke all links?',
    revokeAllHint: 'Nobody can use any of your links from now on. This cannot be undone.',
    expiry: 'It expires',
    lifetimes: {
      keep: 'As now',
      '1 day': 'In a day',
      '7 days': 'In a week',
      '30 days': 'In 30 days',
      year: 'In a year',
      date: 'On a date',
      never: 'Never'
    },
    lastDay: 'Last day of the link',
    keep: (current: string) => `As now: ${current}`,
    password: 'Password',
    passwordHint: 'Optional. Tell it by another way than the link.',
    passwordKept: 'It has a password. Leave this empty to keep it.',
    removePassword: 'Remove the password',
    maxFiles: 'Most files in all',
    maxMegabytes: 'Most MB in all',
    showsOwner: 'Show my username to those who have the link'
  },
  identities: {
    title: 'Identity provider',
    hint: `${provider} can sign you in without your password. A new password ends this.`,
    hintWithoutPassword: `Your account has no password: ${provider} signs you in.`,
    elsewhere: `${provider} can be used only at`,
    none: `Your account is not connected to ${provider}.`,
    connect: `Connect ${provider}`,
    connected: `${provider} is connected.`,
    connectedOn: (date: string) => `Connected ${date}`,
    connectTitle: `Connect ${provider}`,
    connectLabel: 'Connect',
    confirmConnection: `${provider} has answered. Enter your password to let it sign you in from now on.`,
    connectHint: (username: string) =>
      `You are signed in as ${visible(username)}. If you connect ${provider}, it signs you in from now on.`,
    notNow: 'Not now',
    remove: 'Remove',
    removeOf: (name: string) => `Remove ${visible(name)}`,
    removeTitle: 'Remove this identity?',
    removeHint: `It will not sign you in any more. Sessions that began with ${provider} end, perhaps this one too.`,
    removed: 'The identity is removed.',
    waiting: `Go on in the window of ${provider}. If you have closed it, press the button again.`,
    blocked: 'The browser did not open a window. Allow that for this page, then try again.',
    confirmHint: `To confirm that it is you, ${provider} opens in a new window.`,
    takenTitle: 'Go on in the other window',
    taken: 'The window in which you began has the answer. This one can be closed.',
    notBegunTitle: 'Not signed in',
    notBegun: 'This sign-in was not begun in this browser, or too long ago.',
    refusedTitle: 'Not signed in',
    toPage: 'Go to the page',
    newTitle: 'Choose a username',
    newHint: `You have signed in with ${provider}, and have no account here yet.`,
    toExisting: 'I have an account: connect it instead',
    existingTitle: 'Sign in with your password',
    existingHint: `Then you can connect ${provider} to your account.`,
    endWithFactor: `With your first second factor, connections to ${provider} end, because somebody who knew your ` +
      'password could have made one. Connect your own again afterwards.',
    refusals: {
      identity_unknown: `No account here is connected to you at ${provider}, or it is disabled.`,
      identity_not_allowed: `${provider} has signed you in, but you may not use this server. Ask its operator.`,
      oidc_refused: `The answer of ${provider} was refused, came too late or was used before. Try again.`,
      oidc_unavailable: 'This server has no identity provider any more.',
      provider_unavailable: `${provider} could not be reached.`,
      overloaded: 'Too many people are signing in at this moment.',
      too_many_sign_ins: 'Too many sign-ins from your network have failed.',
      too_many_registrations: 'Too many accounts were created from your network.',
      registration_closed: 'Only the operator of this server can create accounts.',
      identity_taken: `This identity at ${provider} is already connected to an account.`,
      too_many_identities: 'You have as many identities as an account can have. Remove one first.',
      password_present: 'Your account has a password by now. Load the page again.'
    }
  },
  unsaved: {
    title: 'Discard the changes?',
    hint: 'They are not saved.',
    discard: 'Discard'
  },
  shortcuts: {
    use: 'Use the shortcuts / and ?',
    useHint: 'Turn them off if you control this device by voice.',
    anywhere: {
      title: 'Anywhere',
      search: 'Search',
      list: 'Show this list',
      undo: 'Undo the last act, while its message is shown',
      close: 'Close or cancel'
    },
    inList: {
      title: 'In the list of files',
      upDown: 'Move up and down',
      page: 'Move by a page',
      ends: 'Move to the first or last',
      row: 'Move between the controls of a row',
      letters: 'Move to a name that begins with what you type',
      open: 'Open',
      rename: 'Rename',
      menu: 'Open the menu',
      remove: 'Move to the trash',
      star: 'Add or remove a star'
    },
    selection: {
      title: 'Selection',
      toggle: 'Select or unselect',
      extend: 'Select more or fewer',
      all: 'Select all',
      none: 'Select none'
    },
    preview: {
      title: 'In a preview',
      move: 'Previous or next file',
      zoom: 'Zoom in and out',
      pan: 'Move the enlarged picture',
      whole: 'See the whole picture',
      details: 'Details of the picture',
      close: 'Close'
    },
    keys: {
      escape: 'Escape',
      pages: 'PageUp PageDown',
      ends: 'Home End',
      enter: 'Enter',
      menu: 'Menu Shift+F10',
      remove: 'Delete',
      space: 'Space',
      extend: 'Shift+↑ Shift+↓',
      undo: 'Ctrl+Z',
      all: 'Ctrl+A'
    }
  },
  timeline: {
    months: 'Months',
    nothing: {
      title: 'No pictures or videos yet',
      hint: 'The pictures and videos in this folder and below it appear here, by the day on which they were taken.'
    }
  },
  firstSteps: {
    title: 'Good to know',
    hide: 'Hide this',
    steps: {
      drive: {
        title: 'A drive on your computer',
        hint: 'Your files are in its file manager, beside all others.'
      },
      phone: {
        title: 'Your phone',
        hint: 'Scan a code there, and keep this page like an app.'
      },
      factor: {
        title: 'A second factor',
        hint: 'Then your password alone is not enough to sign in.'
      }
    }
  },
  photos: {
    title: 'Upload photos',
    hint: (folder: string) =>
      `Photos and videos that are already in ${folder === '' ? 'Files' : visible(folder)} or below are not sent again.`,
    byMonth: 'Put them into folders by month, such as Camera/2026/11',
    choose: 'Choose photos and videos',
    comparing: (done: number, all: number) => `Comparing ${number(done)} of ${number(all)}…`,
    sent: (count: number) => plural(count, { one: '# uploaded.', other: '# uploaded.' }),
    left: (count: number) => plural(count, { one: '# is on its way.', other: '# are on their way.' }),
    there: (count: number) => plural(count, { one: '# was there already.', other: '# were there already.' })
  },
  offline: {
    title: 'You are offline.',
    hint: 'The lists are as this device last saw them. Files that you add are kept here and go up later.',
    notKept: (name: string) =>
      `This browser has no room to keep ${visible(name)}. Leave this page open until it is uploaded.`,
    leave: {
      title: 'Some files are not uploaded yet',
      text: (count: number) =>
        `${plural(count, { one: '# file waits', other: '# files wait' })} to be uploaded. ` +
        'If you sign out, this browser forgets what waits.'
    }
  },
  pictures: {
    notShown: (ending: string) => `This browser can’t show ${ending} files. Download the file to see it.`
  },
  viewer: {
    details: 'Details',
    taken: 'Taken',
    camera: 'Camera',
    place: 'Place',
    cutTable: 'Only the first rows and columns. Download the file to see all of it.'
  },
  editor: {
    edit: 'Edit',
    save: 'Save',
    label: (name: string) => `Text of ${name}`,
    saved: (name: string) => `Saved: ${visible(name)}`,
    notText: 'This is no text in UTF-8. It can’t be changed here.',
    conflict: 'The file has changed meanwhile',
    conflictHint: 'Your text replaces what is there now, which stays as a version where the server keeps versions.',
    replace: 'Replace it',
    name: 'Name of the file',
    offered: 'text.txt',
    submit: 'Create'
  }
})

export type LaterTexts = ReturnType<typeof texts>
