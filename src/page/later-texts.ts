import { texts as firstTexts } from './texts.ts'
import { visibleName } from './visible-name.ts'

/** What a user signed in with. */
const factorWords = { password: 'password', totp: 'one-time code', passkey: 'passkey', recovery_code: 'recovery code' }
type Factor = keyof typeof factorWords

/** The texts with those of what is not in the first view. */
export const texts = {
  ...firstTexts,
  factors: {
    ...firstTexts.factors,
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
    passkeyAdded: (name: string) => `Passkey added: ${visibleName(name)}`,
    passkeyRemoved: (name: string) => `Passkey removed: ${visibleName(name)}`,
    removePasskey: 'Remove',
    removePasskeyOf: (name: string) => `Remove the passkey ${visibleName(name)}`,
    removePasskeyTitle: 'Remove this passkey?',
    recoveryCodes: 'Recovery codes',
    codesLeft: (count: string) => `${count} left, each for one sign-in without your app or passkey.`,
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
    ...firstTexts.account,
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
    sessionsHint: 'Browsers in which you are signed in. A session ends after 30 days.',
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
    eventsHint: 'If you do not recognise an event, change your password.',
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
      password_changed: 'Password changed',
      factor_added: 'Second factor added',
      factor_removed: 'Second factor removed',
      recovery_codes_replaced: 'Recovery codes made anew',
      recovery_code_used: 'Recovery code used',
      passkey_refused: 'Passkey refused',
      second_factor_missing: 'Right password without a code, from a new network',
      second_factor_wrong: 'Right password, wrong code',
      invitation_used: 'Account created by an invitation',
      reset_created: 'Link for a new password created',
      password_reset: 'Password changed by a link',
      link_created: 'Link created',
      link_changed: 'Link changed',
      link_revoked: 'Link revoked',
      links_revoked: 'All links revoked',
      link_password_wrong: 'Wrong password of a link',
      disabled: 'Account disabled',
      enabled: 'Account enabled'
    } as { [kind: string]: string | undefined },
    networks: {
      operator: 'by the operator of the server',
      unknown: 'from an unknown network'
    } as { [network: string]: string | undefined },
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
    ...firstTexts.links,
    titleOf: (name: string) => `Link to ${visibleName(name)}`,
    requestTitleOf: (name: string) => `Request files for ${visibleName(name)}`,
    hint: 'Anyone who has the link can download, without an account.',
    requestHint: 'Anyone who has the link can send files to this folder, and see nothing of it.',
    address: 'Link',
    create: 'Create link',
    another: 'Another link',
    share: 'Share…',
    qrCode: 'QR code',
    qrCodeOf: (name: string) => `QR code of the link to ${visibleName(name)}`,
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
    used: (count: string, time: string) => `Used ${count === '1' ? 'once' : `${count} times`}, last ${time}`,
    neverUsed: 'Never used',
    received: (files: string, maxFiles: string, bytes: string, maxBytes: string) =>
      `${files} of ${maxFiles} files, ${bytes} of ${maxBytes}`,
    change: 'Change',
    changeOf: (name: string) => `Change the link to ${visibleName(name)}`,
    changed: 'The link is changed.',
    save: 'Save',
    newSecret: 'New address',
    newSecretOf: (name: string) => `Make a new address for the link to ${visibleName(name)}`,
    newSecretTitle: 'Make a new address?',
    newSecretHint: 'The old address of this link ends at once. Its settings stay:',
    revoke: 'Revoke',
    revokeOf: (name: string) => `Revoke the link to ${visibleName(name)}`,
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
  unsaved: {
    title: 'Discard the changes?',
    hint: 'They are not saved.',
    discard: 'Discard'
  },
  shortcuts: {
    ...firstTexts.shortcuts,
    use: 'Use the shortcuts / and ?',
    useHint: 'Turn them off if you control this device by voice.',
    groups: [
      {
        name: 'Anywhere',
        keys: [
          ['/', 'Search'],
          ['?', 'Show this list'],
          ['Ctrl+Z', 'Undo the last act, while its message is shown'],
          ['Escape', 'Close or cancel']
        ]
      },
      {
        name: 'In the list of files',
        keys: [
          ['↑ ↓', 'Move up and down'],
          ['PageUp PageDown', 'Move by a page'],
          ['Home End', 'Move to the first or last'],
          ['← →', 'Move between the controls of a row'],
          ['A–Z', 'Move to a name that begins with what you type'],
          ['Enter', 'Open'],
          ['F2', 'Rename'],
          ['Menu Shift+F10', 'Open the menu'],
          ['Delete', 'Move to the trash']
        ]
      },
      {
        name: 'Selection',
        keys: [
          ['Space', 'Select or unselect'],
          ['Shift+↑ Shift+↓', 'Select more or fewer'],
          ['Ctrl+A', 'Select all'],
          ['Escape', 'Select none']
        ]
      },
      { name: 'In a preview', keys: [['← →', 'Previous or next file'], ['Escape', 'Close']] }
    ]
  }
} as const
