import type { Factor, LaterTexts } from './en-later.ts'
import type { Tools } from './tools.ts'

/** What a user signed in with. */
const factorWords: Record<Factor, string> = {
  password: 'Passwort',
  totp: 'Einmalcode',
  passkey: 'Passkey',
  recovery_code: 'Wiederherstellungscode',
  oidc: 'Identitätsdienst'
}

/** The texts of what is not in the first view of the page of an account, in German. */
export const texts = ({ visible, number, plural, provider }: Tools<'de'>): LaterTexts => ({
  problems: {
    too_many_connection_codes: 'Zu viele falsche Codes',
    folder_into_itself: 'Ein Ordner kann nicht in sich selbst liegen',
    parent_missing: 'Der Ordner ist nicht mehr da',
    folder_not_empty: 'Inzwischen ist etwas dazugekommen',
    trash_full: 'Im Papierkorb ist dafür nicht genug Platz',
    zip_too_large: 'Das ist zu viel für eine Zip-Datei',
    too_many_acts: 'Es wird gerade zu viel auf einmal geändert',
    too_many_waiting: 'Es sind zu viele Fenster offen',
    passkey_invalid: 'Der Passkey lässt sich nicht registrieren',
    passkeys_unavailable: 'Auf diesem Server gehen keine Passkeys',
    second_factor_missing: 'Das Konto hat keinen zweiten Faktor',
    factor_not_pending: 'Das hat zu lange gedauert: bitte neu anfangen',
    sign_in_required: 'Zuerst beim Identitätsdienst anmelden',
    too_many_passkeys: 'Das Konto hat schon so viele Passkeys wie möglich',
    too_many_tokens: 'Das Konto hat schon so viele Tokens wie möglich',
    too_many_links: 'Das Konto hat schon so viele Links wie möglich',
    link_address_unknown: 'Der Server kennt die Adresse dieses Links nicht mehr',
    cross_site_request: 'Die Anfrage kam von einer anderen Website'
  },
  problemHints: {
    scopes: 'Bitte auswählen, was das Token darf.',
    expiresAt: 'Der letzte Tag muss in der Zukunft liegen, aber nicht später, als der Server erlaubt.'
  },
  copyByHand: 'Der Text ist markiert. Kopieren: mit Strg+C oder ⌘C.',
  files: {
    nothingFound: 'Kein Name in diesem Ordner oder darunter enthält',
    nothingFoundAnywhere: 'Kein Name enthält',
    nothingFoundYet: `Keiner der ersten ${number(100_000)} Namen enthält`,
    searchAll: 'Alle Namen durchsuchen',
    empty: 'Noch keine Dateien',
    emptyHint: 'Dateien oder Ordner auf diese Seite ziehen, einfügen oder mit den Knöpfen oben auswählen.',
    emptyWays: 'Über ein Laufwerk am Computer oder vom Telefon: so geht es',
    nothingIn: {
      recent: { title: 'Noch nichts da', hint: 'Hier erscheinen die zuletzt geänderten Dateien aus allen Ordnern.' },
      starred: {
        title: 'Noch keine Favoriten',
        hint: 'Im Menü einer Datei oder eines Ordners „Zu den Favoriten“ wählen: Dann stehen sie hier.'
      }
    },
    trashEmptied: 'Der Papierkorb ist leer.',
    andOthers: (count: number, isAll: boolean) => isAll
      ? plural(count, { one: 'und 1 weitere', other: 'und # weitere' })
      : `und mehr als ${number(count)} weitere`,
    deletedFrom: (content: string, folder: string) =>
      `${content} aus ${folder === '' ? 'Dateien' : visible(folder)}`,
    copyTitle: (name: string) => `${visible(name)} kopieren`,
    copyName: 'Name der Kopie',
    copySubmit: 'Kopie anlegen',
    noPreview: 'Für Dateien dieser Art gibt es keine Vorschau.',
    noPdfViewer: 'Dieser Browser kann keine PDF-Dateien anzeigen. Herunterladen, um sie zu sehen.',
    insecure: 'Der Browser zeigt diese Datei nur über HTTPS an. Herunterladen, um sie zu sehen.',
    noWorker: 'Der Browser führt hier keinen Service Worker aus und kann diese Datei ohne den nicht anzeigen. ' +
      'Herunterladen, um sie zu sehen.',
    brokenPreview: 'Der Browser kann diese Datei nicht anzeigen.',
    cut: (shown: string, whole: string) => `Die ersten ${shown} von ${whole}. Herunterladen, um alles zu sehen.`,
    details: {
      type: 'Art',
      size: 'Größe',
      created: 'Hinzugefügt',
      updated: 'Geändert',
      modified: 'Datum der Datei',
      stored: 'Gespeichert',
      replaced: 'Ersetzt',
      sha256: 'SHA-256'
    },
    more: 'Mehr',
    notCopied: 'Der Browser erlaubt das Kopieren nicht.',
    versionsOf: (name: string) => `Versionen von ${visible(name)}`,
    versionOf: (time: string) => `Version vom ${time}`,
    current: (size: string, time: string) => `Jetziger Inhalt: ${size}, ${time}`,
    noVersions: 'Von dieser Datei gibt es keine älteren Versionen.',
    keptUntil: (time: string) => `aufbewahrt bis ${time}`,
    versionRestored: (name: string, time: string) => `Version vom ${time} wiederhergestellt: ${visible(name)}`,
    versionDeleted: (time: string) => `Endgültig gelöscht: die Version vom ${time}`,
    deleteVersion: 'Diese Version endgültig löschen?',
    deleteVersionOf: (time: string) => `Damit wird die Version vom ${time} gelöscht. Das lässt sich nicht rückgängig ` +
      'machen. Die Datei selbst bleibt:',
    deleteForGoodNamed: (name: string) => `${visible(name)} endgültig löschen`,
    deleteForGoodTitle: 'Diese Datei endgültig löschen?',
    deleteForGoodOf: (versions: number) => {
      if (versions === 0) return 'Das lässt sich nicht rückgängig machen:'
      return plural(versions, {
        one: 'Damit wird auch ihre ältere Version gelöscht. Das lässt sich nicht rückgängig machen:',
        other: 'Damit werden auch ihre # älteren Versionen gelöscht. Das lässt sich nicht rückgängig machen:'
      })
    },
    restoreOf: (name: string) => `${visible(name)} wiederherstellen`,
    restoreAs: 'Unter anderem Namen wiederherstellen',
    nameTaken: 'Dieser Name ist vergeben:',
    otherName: 'Name der wiederhergestellten Datei',
    emptyTrash: 'Papierkorb leeren',
    emptyTrashWarning: 'Damit wird alles im Papierkorb gelöscht. Das lässt sich nicht rückgängig machen.',
    deleteAllForGood: 'Alles endgültig löschen',
    trashEmpty: 'Der Papierkorb ist leer',
    trashHint: 'Gelöschte Dateien bleiben eine Zeit lang hier und lassen sich wiederherstellen.',
    restoreAll: 'Alles wiederherstellen',
    deleteThisForGood: 'Das endgültig löschen?',
    deleteContent: (content: string) =>
      `Damit wird gelöscht: ${content}, auch ältere Versionen. Das lässt sich nicht rückgängig machen:`,
    deletedFolders: 'Ordner, die mit wiederhergestellt werden:',
    previous: 'Vorige Datei',
    next: 'Nächste Datei'
  },
  selection: {
    lostTitle: (count: number) => plural(count, {
      one: 'Eine ältere Version oder gelöschte Datei endgültig löschen?',
      other: '# ältere Versionen und gelöschte Dateien endgültig löschen?'
    }),
    lostHint: 'Im Papierkorb ist nicht genug Platz. Damit das hineinpasst, verschwindet dort das Älteste:',
    goOn: 'Trotzdem löschen',
    removeTitle: (items: string) => `${items} löschen?`,
    removeHint: 'Damit wird alles in diesen Ordnern gelöscht:',
    deleteForGoodTitle: (items: string) => `${items} endgültig löschen?`,
    deleteAllHint: 'Damit wird auch alles darin gelöscht. Das lässt sich nicht rückgängig machen:',
    failed: {
      remove: (items: string) => `Nicht gelöscht: ${items}`,
      move: (items: string) => `Nicht verschoben: ${items}`,
      copy: (items: string) => `Nicht kopiert: ${items}`,
      restore: (items: string) => `Nicht wiederhergestellt: ${items}`,
      deleteForGood: (items: string) => `Nicht gelöscht: ${items}`,
      star: (items: string) => `Favoriten nicht geändert: ${items}`
    },
    stopped: 'Angehalten: Die Kopie kann fehlen oder unvollständig sein.',
    deleteForGoodHint: 'Damit werden auch ältere Versionen gelöscht. Das lässt sich nicht rückgängig machen:'
  },
  folders: {
    empty: 'Dieser Ordner ist leer',
    missing: 'Einen Ordner mit diesem Namen gibt es nicht',
    missingHint: 'Vielleicht wurde er umbenannt, verschoben oder gelöscht.',
    goUp: 'Nach oben zu',
    name: 'Name des Ordners',
    submit: 'Anlegen',
    noneInside: 'Hier drin sind keine weiteren Ordner.',
    acts: {
      move: { title: (name: string) => `${visible(name)} verschieben`, submit: 'Hierher verschieben' },
      copy: { title: (name: string) => `${visible(name)} kopieren`, submit: 'Hierher kopieren' }
    },
    removeTitle: 'Diesen Ordner löschen?',
    removeHint: 'Damit wird alles in diesem Ordner gelöscht:'
  },
  details: {
    titleOf: (name: string) => `Details zu ${visible(name)}`,
    folder: 'Ordner',
    contents: 'Inhalt',
    counting: 'Zählt …',
    countAgain: 'Neu zählen',
    versions: 'Ältere Versionen',
    showVersions: 'Versionen',
    links: 'Links',
    none: 'Keine'
  },
  uploads: {
    title: 'Uploads',
    pauseAll: 'Alle anhalten',
    resumeAll: 'Alle fortsetzen',
    clearFinished: 'Fertige ausblenden',
    list: 'Liste der Uploads',
    more: (count: number) => `und ${number(count)} weitere`,
    summary: {
      uploading: (done: number, all: number) => `${number(done)} von ${number(all)} hochgeladen`,
      done: (all: number) => plural(all, { one: '# Datei hochgeladen', other: '# Dateien hochgeladen' }),
      paused: (count: number) => `${number(count)} angehalten`,
      questions: (count: number) => plural(count, { one: '# Frage', other: '# Fragen' }),
      failed: (count: number) => `${number(count)} fehlgeschlagen`,
      unfinished: (count: number) => `${number(count)} unfertig`
    },
    cancelUnfinished: (name: string) => `Unfertigen Upload von ${visible(name)} abbrechen`,
    pause: (name: string) => `${visible(name)} anhalten`,
    resume: (name: string) => `${visible(name)} fortsetzen`,
    cancel: (name: string) => `${visible(name)} abbrechen`,
    progressOf: (name: string) => `Fortschritt von ${visible(name)}`,
    state: {
      waiting: 'Wartet',
      behind: 'Wartet auf einen anderen Upload mit diesem Namen',
      paused: (done: string, all: string) => `Angehalten bei ${done} von ${all}`,
      stored: (size: string) => `Hochgeladen, ${size}`,
      running: (done: string, all: string) => `${done} von ${all}`,
      finishing: 'Gleich fertig …',
      speed: (speed: string) => `${speed}/s`,
      timeLeft: (time: string) => `noch ${time}`,
      interrupted: (why: string) => `${why.replace(/[.]$/, '')}. Dieser Upload geht von selbst weiter.`,
      sessionEnded: 'Dieser Upload geht nach dem Anmelden weiter.'
    },
    conflict: {
      question: (name: string) => `Eine Datei namens ${visible(name)} gibt es schon.`,
      existing: (size: string, time: string) => `Die gespeicherte Datei: ${size}, geändert ${time}.`,
      replace: 'Ersetzen',
      keep: 'Beide behalten',
      skip: 'Überspringen',
      forAll: 'Bei den übrigen Dateien ebenso'
    },
    resumable: {
      question: (name: string) => `Ein unfertiger Upload von ${visible(name)} ist genauso groß.`,
      explanation: 'Nur fortsetzen, wenn die Datei seitdem gleich geblieben ist.',
      continue: 'Fortsetzen',
      startAgain: 'Neu anfangen'
    },
    shared: {
      title: 'Die geteilten Dateien hochladen?',
      hint: 'Eine andere App oder Seite hat MagicStore diese Dateien gegeben:',
      add: 'Hochladen',
      discard: 'Verwerfen'
    },
    rename: { label: 'Anderer Name', submit: 'Unter diesem Namen hochladen' },
    unfinished: {
      title: 'Nicht fertig',
      explanation: 'Um einen Upload fortzusetzen, dieselbe Datei nochmal auswählen.',
      progress: (done: string, all: string) => `${done} von ${all} gespeichert`,
      sizeUnknown: (done: string) => `${done} gespeichert`,
      choose: 'Datei auswählen',
      chooseFor: (name: string) => `Die Datei ${visible(name)} auswählen, um ihren Upload fortzusetzen`
    }
  },
  claim: {
    invitation: {
      hint: 'Das ist eine Einladung zu diesem Server. Wie soll die Anmeldung gehen?',
      submit: 'Konto anlegen'
    },
    reset: {
      hint: 'Damit enden alle Sitzungen und alle persönlichen Zugriffstokens.',
      submit: 'Passwort festlegen'
    },
    over: 'Dieser Link wurde schon benutzt oder ist abgelaufen. ' +
      'Der Betreiber dieses Servers kann einen neuen ausstellen.',
    resetDone: 'Das neue Passwort gilt. Jetzt damit anmelden.',
    toSignIn: 'Stattdessen anmelden'
  },
  factors: {
    title: 'Zweiter Faktor',
    sectionHint: 'Mit einem zweiten Faktor reicht das Passwort allein nicht mehr zum Anmelden. ' +
      'Persönliche Zugriffstokens gelten weiter.',
    totp: 'Einmalcodes',
    totpHint: 'Aus einer Authenticator-App auf dem Telefon oder Computer.',
    totpSince: (date: string) => `An seit ${date}`,
    setUpTotp: 'Einmalcodes einrichten',
    replaceTotp: 'Andere App verwenden',
    removeTotp: 'Ausschalten',
    removeTotpLabel: 'Einmalcodes ausschalten',
    removeTotpTitle: 'Einmalcodes ausschalten?',
    removeHint: 'Bleibt kein anderer zweiter Faktor, reicht das Passwort allein, und die Wiederherstellungscodes ' +
      'gelten nicht mehr.',
    totpOn: 'Einmalcodes sind an.',
    totpOff: 'Einmalcodes sind aus.',
    passkeys: 'Passkeys',
    passkeysHint: 'Anmelden mit Fingerabdruck, Gesicht, PIN oder Sicherheitsschlüssel.',
    addPasskey: 'Passkey hinzufügen',
    passkeyName: 'Name des Passkeys',
    passkeyNameExample: 'Zum Beispiel: Laptop',
    passkeyAdded: (name: string) => `Passkey hinzugefügt: ${visible(name)}`,
    passkeyRemoved: (name: string) => `Passkey entfernt: ${visible(name)}`,
    removePasskey: 'Entfernen',
    removePasskeyOf: (name: string) => `Passkey ${visible(name)} entfernen`,
    removePasskeyTitle: 'Diesen Passkey entfernen?',
    recoveryCodes: 'Wiederherstellungscodes',
    codesLeft: (count: number) => plural(count, {
      one: 'Noch #, für eine Anmeldung ohne App oder Passkey.',
      other: 'Noch #, jeder für eine Anmeldung ohne App oder Passkey.'
    }),
    newCodes: 'Neue erzeugen',
    newCodesTitle: 'Neue Wiederherstellungscodes erzeugen?',
    newCodesHint: 'Die alten gelten dann nicht mehr.',
    codesShownOnce: 'Diese Wiederherstellungscodes sicher aufbewahren. Jeder gilt für eine Anmeldung, ' +
      'wenn App oder Passkey verloren sind. Sie werden nur dieses eine Mal gezeigt.',
    printed: (host: string, username: string) => `MagicStore auf ${host}, Wiederherstellungscodes von ${username}`,
    print: 'Drucken',
    continue: 'Weiter',
    label: { totp: 'Code aus der Authenticator-App', recovery: 'Wiederherstellungscode' },
    hint: {
      totp: 'Sechs Ziffern. Jeder Code gilt einmal: Wurde er eben benutzt, bitte auf den nächsten warten.',
      recovery: 'Einer der Codes, die beim Einrichten des zweiten Faktors gezeigt wurden. Jeder gilt einmal.'
    },
    toKind: { totp: 'Code aus einer App verwenden', recovery: 'Wiederherstellungscode verwenden' },
    usePasskey: 'Passkey verwenden',
    codeOfOldApp: 'Mit dem jetzigen zweiten Faktor bestätigen.',
    nextCodeOfOldApp: 'Nochmal mit dem bisherigen zweiten Faktor bestätigen, nicht mit der neuen App.',
    confirmPasskey: 'Der Passkey ist erzeugt. Nochmal bestätigen, damit er zum Konto kommt.',
    confirmSession: 'Das Passwort ist geändert. Nochmal bestätigen, um angemeldet zu bleiben.',
    scan: 'Das mit einer Authenticator-App scannen oder den Schlüssel dort eingeben.',
    qrCode: 'QR-Code des Schlüssels',
    key: 'Schlüssel',
    openApp: 'App auf diesem Gerät öffnen',
    turnOn: 'Einschalten',
    setUpTitle: 'Zweiten Faktor einrichten',
    setUpHint: 'Auf diesem Server reicht ein Passwort allein nicht. Was soll dazukommen?'
  },
  account: {
    devices: {
      title: 'Andere Geräte',
      drive: 'Laufwerk',
      driveHint: 'Im Dateimanager des Computers mit dieser Adresse verbinden (WebDAV). Dort mit dem Benutzernamen ' +
        'anmelden und als Passwort ein Token nehmen, das Dateien lesen und ändern darf: Unten lässt sich eines ' +
        'erzeugen.',
      copy: 'Adresse des Laufwerks kopieren',
      phone: 'Telefon',
      phoneHint: 'Den Code scannen, um diese Seite zu öffnen. Mit „Zum Startbildschirm“ im Menü des Browsers ' +
        'bleibt sie ' +
        'dort wie eine App.',
      code: 'QR-Code mit der Adresse dieser Seite',
      program: 'Programm',
      programHint: 'Ein Programm, das einen Code aus acht Buchstaben anzeigt, bekommt ein eigenes Token für 90 Tage.',
      enterCode: 'Code eingeben'
    },
    connect: {
      title: 'Programm verbinden',
      code: 'Code',
      codeHint: 'Die acht Buchstaben, die das Programm anzeigt. Nur für ein selbst gestartetes Programm eingeben.',
      continue: 'Weiter',
      unknown: 'Mit diesem Code wartet kein Programm. Vielleicht ist er abgelaufen: Im Programm einen neuen anfordern.',
      allowTitle: 'Dieses Programm erlauben?',
      networks: (network: string, own: string) => `Netz des Programms: ${network}. Dieses hier: ${own}.`,
      warning: 'Kam der Code von jemand anderem? Dann ablehnen: Diese Person käme sonst an die Dateien hier.',
      allow: 'Erlauben',
      refuse: 'Ablehnen',
      allowed: (name: string) => `Verbunden: ${visible(name)}`
    },
    secretCode: 'QR-Code mit dem Token',
    asDrive: (address: string, username: string) =>
      `Als Laufwerk (WebDAV): Adresse ${address}, Benutzername ${visible(username)}, und als Passwort dieses Token.`,
    storage: {
      label: 'Speicher',
      kept: (size: string) => `${size} in Versionen und Papierkorb`,
      uploading: (size: string) => `${size} in unfertigen Uploads`,
      ofBytes: (size: string) => `von ${size}`,
      ofFiles: (count: number) => `höchstens ${number(count)} Dateien und Ordner`
    },
    languages: {
      title: 'Sprache',
      hint: 'Für diese Seite und die Seiten von Links, in diesem Browser.',
      asBrowser: 'Wie im Browser'
    },
    profile: 'Profil',
    username: 'Benutzername',
    since: 'Dabei seit',
    password: 'Passwort',
    passwordHint: 'Ein neues Passwort beendet alle anderen Sitzungen und alle persönlichen Zugriffstokens. ' +
      'Die Anmeldung hier bleibt.',
    currentPassword: 'Jetziges Passwort',
    newPassword: 'Neues Passwort',
    changePassword: 'Passwort ändern',
    tokens: 'Persönliche Zugriffstokens',
    tokensHint: 'Für Skripte und Programme, damit sie das Passwort nicht brauchen.',
    tokensHintWithoutPassword:
      `Für Skripte und Programme. Sie ruhen, wenn eine Anmeldung mit ${provider} eine Zeit lang ausbleibt.`,
    noTokens: 'Es gibt keine persönlichen Zugriffstokens.',
    newToken: 'Neues Token',
    tokenName: 'Name',
    tokenNameExample: 'Zum Beispiel: Backup-Skript',
    scopesOfToken: 'Was das Token darf',
    scopes: {
      'files:read': { name: 'Dateien lesen', hint: 'Dateien, Versionen und Papierkorb auflisten und herunterladen.' },
      'files:write': {
        name: 'Dateien ändern', hint: 'Dateien hochladen, ersetzen, umbenennen, löschen und wiederherstellen.'
      },
      account: { name: 'Tokens widerrufen', hint: 'Jede Sitzung und jedes Token des Kontos beenden.' },
      links: { name: 'Dateien teilen', hint: 'Links anlegen, ändern und widerrufen.' }
    },
    expiry: 'Läuft ab',
    lifetimes: {
      '30 days': 'In 30 Tagen', '90 days': 'In 90 Tagen', year: 'In einem Jahr', date: 'An einem Datum', never: 'Nie'
    },
    lastDay: 'Letzter Tag des Tokens',
    neverHint: 'Wer das Token hat, kann es benutzen, bis es widerrufen wird.',
    createToken: 'Token erzeugen',
    tokenCreated: 'Token erzeugt',
    shownOnce: 'Das Token jetzt kopieren. Es wird nur dieses eine Mal gezeigt.',
    secret: 'Token',
    done: 'Fertig',
    created: (date: string) => `Erzeugt am ${date}`,
    expires: (time: string) => `Läuft ab: ${time}`,
    neverExpires: 'Läuft nie ab',
    used: (time: string) => `Zuletzt benutzt: ${time}`,
    neverUsed: 'Nie benutzt',
    revoke: 'Widerrufen',
    revokeOf: (name: string) => `${name} widerrufen`,
    revokeTitle: 'Dieses Token widerrufen?',
    revokeHint: 'Programme, die es benutzen, werden ab jetzt abgewiesen. Das lässt sich nicht rückgängig machen.',
    sessions: 'Angemeldete Sitzungen',
    sessionsHint: 'Browser, in denen dieses Konto angemeldet ist. Eine Sitzung endet nach 30 Tagen' +
      `${provider === '' ? '' : ` oder früher, wenn sie mit ${provider} begann`}.`,
    device: (browser: string | null, system: string | null) => browser === null
      ? system ?? 'Unbekannter Browser'
      : system === null ? browser : `${browser} auf ${system}`,
    signedIn: (time: string, factors: readonly Factor[]) => factors.length === 0
      ? `Angemeldet: ${time}`
      : `Angemeldet: ${time}, mit ${factors.map(factor => factorWords[factor]).join(' und ')}`,
    thisSession: 'Diese Sitzung',
    end: 'Beenden',
    endOf: (device: string, time: string) => `Die Sitzung vom ${time} beenden, ${device}`,
    everywhere: 'Überall abmelden',
    everywhereTitle: 'Überall abmelden?',
    everywhereHint: 'Damit enden alle Sitzungen, auch diese, und alle persönlichen Zugriffstokens.',
    signedOutEverywhere: 'Überall abgemeldet.',
    events: 'Letzte Ereignisse',
    eventsHint: (hasPassword: boolean) =>
      `Etwas Unbekanntes dabei? Dann ${hasPassword ? 'das Passwort ändern' : 'den Betreiber dieses Servers fragen'}.`,
    showMore: 'Mehr zeigen',
    kinds: {
      registered: 'Konto angelegt',
      sign_in: 'Angemeldet',
      sign_in_failed: 'Anmeldung fehlgeschlagen',
      sign_in_new_network: 'Aus einem neuen Netz angemeldet',
      session_created: 'Auf dieser Seite angemeldet',
      token_issued: 'Zugriffstoken erzeugt',
      token_revoked: 'Sitzung oder Token beendet',
      tokens_revoked: 'Alle Sitzungen und Tokens beendet',
      personal_token_created: 'Persönliches Zugriffstoken erzeugt',
      connection_allowed: 'Verbindung eines Programms erlaubt',
      connection_refused: 'Verbindung eines Programms abgelehnt',
      connection_expired: 'Verbindung eines Programms ungenutzt abgelaufen',
      password_changed: 'Passwort geändert',
      factor_added: 'Zweiter Faktor hinzugefügt',
      factor_removed: 'Zweiter Faktor entfernt',
      recovery_codes_replaced: 'Neue Wiederherstellungscodes erzeugt',
      recovery_code_used: 'Wiederherstellungscode benutzt',
      passkey_refused: 'Passkey abgelehnt',
      second_factor_missing: 'Richtiges Passwort ohne Code, aus einem neuen Netz',
      second_factor_wrong: 'Richtiges Passwort, falscher Code',
      identity_connected: 'Identität verbunden',
      identity_removed: 'Identität entfernt',
      identity_refused: 'Identität abgelehnt',
      password_removed: 'Passwort entfernt',
      invitation_used: 'Konto durch eine Einladung angelegt',
      reset_created: 'Link für ein neues Passwort angelegt',
      password_reset: 'Passwort durch einen Link geändert',
      link_created: 'Link angelegt',
      link_changed: 'Link geändert',
      link_revoked: 'Link widerrufen',
      links_revoked: 'Alle Links widerrufen',
      link_password_wrong: 'Falsches Passwort eines Links',
      disabled: 'Konto gesperrt',
      enabled: 'Konto entsperrt',
      quota_changed: 'Speichergrenze geändert',
      trash_emptied: 'Papierkorb geleert',
      files_restored: 'Dateien aus einem Backup wiederhergestellt',
      files_imported: 'Dateien importiert',
      account_exported: 'Konto exportiert',
      account_removed: 'Konto gelöscht'
    },
    networks: {
      operator: 'vom Betreiber des Servers',
      unknown: 'aus einem unbekannten Netz'
    },
    from: (network: string) => `von ${network}`,
    remove: 'Konto löschen',
    removeHint: 'Damit werden das Konto, alle Dateien mit ihren Versionen, der Papierkorb sowie alle Sitzungen und ' +
      'Tokens gelöscht.',
    removeButton: 'Konto löschen',
    removeTitle: 'Konto löschen?',
    removeWarning: 'Alle Dateien werden sofort gelöscht. Das lässt sich nicht rückgängig machen.',
    typeUsername: 'Zur Bestätigung den Benutzernamen eingeben:',
    notUsername: 'Das ist nicht der Benutzername.',
    removed: 'Das Konto und alle Dateien sind gelöscht.'
  },
  links: {
    titleOf: (name: string) => `Link zu ${visible(name)}`,
    requestTitleOf: (name: string) => `Dateien für ${visible(name)} anfordern`,
    hint: 'Wer den Link hat, kann herunterladen, auch ohne Konto.',
    requestHint: 'Wer den Link hat, kann Dateien in diesen Ordner senden, sieht aber nichts davon.',
    address: 'Link',
    create: 'Link anlegen',
    another: 'Weiterer Link',
    share: 'Teilen …',
    qrCode: 'QR-Code',
    qrCodeOf: (name: string) => `QR-Code des Links zu ${visible(name)}`,
    addressUnknown: 'Der Server kennt die Adresse dieses Links nicht mehr. Wer sie hat, kann sie weiter benutzen.',
    longest: 'So spät wie möglich',
    listTitle: 'Eigene Links',
    listHint: 'Geteilte Dateien und Ordner. Jeder Link geht ohne Konto, bis er abläuft oder widerrufen wird.',
    none: 'Keine Links',
    noneHint: 'Zum Teilen im Menü einer Datei oder eines Ordners „Link …“ wählen.',
    kinds: { download: 'Zum Herunterladen', upload: 'Dateien angefordert' },
    withPassword: 'Mit Passwort',
    expired: 'Abgelaufen',
    full: 'Nimmt nichts mehr an',
    created: (date: string) => `Angelegt am ${date}`,
    expires: (time: string) => `Läuft ab: ${time}`,
    neverExpires: 'Läuft nie ab',
    used: (count: number, time: string) =>
      `${plural(count, { one: 'Einmal benutzt', other: '#-mal benutzt' })}, zuletzt: ${time}`,
    neverUsed: 'Nie benutzt',
    received: (files: number, maxFiles: number, bytes: string, maxBytes: string) =>
      `${number(files)} von ${plural(maxFiles, { one: '# Datei', other: '# Dateien' })}, ${bytes} von ${maxBytes}`,
    change: 'Ändern',
    changeOf: (name: string) => `Link zu ${visible(name)} ändern`,
    changed: 'Der Link ist geändert.',
    save: 'Speichern',
    newSecret: 'Neue Adresse',
    newSecretOf: (name: string) => `Neue Adresse für den Link zu ${visible(name)}`,
    newSecretTitle: 'Neue Adresse erzeugen?',
    newSecretHint: 'Die alte Adresse dieses Links gilt sofort nicht mehr. Seine Einstellungen bleiben:',
    revoke: 'Widerrufen',
    revokeOf: (name: string) => `Link zu ${visible(name)} widerrufen`,
    revokeTitle: 'Diesen Link widerrufen?',
    revokeHint: 'Ab jetzt kann ihn niemand mehr benutzen. Das lässt sich nicht rückgängig machen:',
    revoked: 'Der Link ist widerrufen.',
    revokeAll: 'Alle widerrufen',
    revokeAllTitle: 'Alle Links widerrufen?',
    revokeAllHint: 'Ab jetzt kann niemand mehr einen dieser Links benutzen. Das lässt sich nicht rückgängig machen.',
    expiry: 'Läuft ab',
    lifetimes: {
      keep: 'Wie bisher',
      '1 day': 'In einem Tag',
      '7 days': 'In einer Woche',
      '30 days': 'In 30 Tagen',
      year: 'In einem Jahr',
      date: 'An einem Datum',
      never: 'Nie'
    },
    lastDay: 'Letzter Tag des Links',
    keep: (current: string) => `Wie bisher: ${current}`,
    password: 'Passwort',
    passwordHint: 'Muss nicht sein. Auf anderem Weg mitteilen als den Link.',
    passwordKept: 'Der Link hat ein Passwort. Leer lassen, um es zu behalten.',
    removePassword: 'Passwort entfernen',
    maxFiles: 'Höchstens so viele Dateien',
    maxMegabytes: 'Höchstens so viele MB',
    showsOwner: 'Allen, die den Link haben, den Benutzernamen zeigen'
  },
  identities: {
    title: 'Identitätsdienst',
    hint: `Die Anmeldung geht auch mit ${provider}, ohne Passwort. Ein neues Passwort beendet das.`,
    hintWithoutPassword: `Das Konto hat kein Passwort: Die Anmeldung geht mit ${provider}.`,
    elsewhere: `${provider} geht nur unter`,
    none: `Das Konto ist nicht mit ${provider} verbunden.`,
    connect: `Mit ${provider} verbinden`,
    connected: `${provider} ist verbunden.`,
    connectedOn: (date: string) => `Verbunden am ${date}`,
    connectTitle: `Mit ${provider} verbinden`,
    connectLabel: 'Verbinden',
    confirmConnection: `${provider} hat geantwortet. Mit dem Passwort bestätigen, damit die Anmeldung künftig so geht.`,
    connectHint: (username: string) =>
      `Angemeldet als ${visible(username)}. Nach dem Verbinden geht die Anmeldung auch mit ${provider}.`,
    notNow: 'Jetzt nicht',
    remove: 'Entfernen',
    removeOf: (name: string) => `${visible(name)} entfernen`,
    removeTitle: 'Diese Identität entfernen?',
    removeHint: `Die Anmeldung damit geht dann nicht mehr. Sitzungen, die mit ${provider} begannen, enden, ` +
      'vielleicht auch diese.',
    removed: 'Die Identität ist entfernt.',
    waiting: `Weiter geht es im Fenster von ${provider}. Ist es schon geschlossen, den Knopf nochmal drücken.`,
    blocked: 'Der Browser hat kein Fenster geöffnet. Bitte für diese Seite erlauben und nochmal versuchen.',
    confirmHint: `Zur Bestätigung öffnet sich ${provider} in einem neuen Fenster.`,
    takenTitle: 'Weiter im anderen Fenster',
    taken: 'Das Fenster, in dem es begann, hat die Antwort. Dieses hier kann zu.',
    notBegunTitle: 'Nicht angemeldet',
    notBegun: 'Diese Anmeldung begann nicht in diesem Browser oder ist zu lange her.',
    refusedTitle: 'Nicht angemeldet',
    toPage: 'Zur Seite',
    newTitle: 'Benutzernamen wählen',
    newHint: `Die Anmeldung mit ${provider} hat geklappt, aber ein Konto gibt es hier noch nicht.`,
    toExisting: 'Es gibt schon ein Konto: stattdessen verbinden',
    existingTitle: 'Mit dem Passwort anmelden',
    existingHint: `Danach lässt sich ${provider} mit dem Konto verbinden.`,
    endWithFactor: `Bestehende Verbindungen mit ${provider} enden dabei, denn wer das Passwort kannte, konnte selbst ` +
      'eine anlegen. Die eigene danach neu anlegen.',
    refusals: {
      identity_unknown: `Hier ist kein Konto mit dieser Identität bei ${provider} verbunden, oder es ist gesperrt.`,
      identity_not_allowed: `Die Anmeldung bei ${provider} hat geklappt, reicht aber nicht für diesen Server. ` +
        'Bitte seinen Betreiber fragen.',
      oidc_refused: `Die Antwort von ${provider} wurde abgelehnt, kam zu spät oder wurde schon benutzt. ` +
        'Bitte nochmal versuchen.',
      oidc_unavailable: 'Dieser Server hat keinen Identitätsdienst mehr.',
      provider_unavailable: `${provider} war nicht erreichbar.`,
      overloaded: 'Gerade melden sich zu viele auf einmal an.',
      too_many_sign_ins: 'Aus diesem Netz sind zu viele Anmeldungen fehlgeschlagen.',
      too_many_registrations: 'Aus diesem Netz wurden zu viele Konten angelegt.',
      registration_closed: 'Nur der Betreiber dieses Servers kann Konten anlegen.',
      identity_taken: `Diese Identität bei ${provider} ist schon mit einem Konto verbunden.`,
      too_many_identities: 'Das Konto hat schon so viele Identitäten wie möglich. Zuerst eine entfernen.',
      password_present: 'Das Konto hat inzwischen ein Passwort. Bitte die Seite neu laden.'
    }
  },
  unsaved: {
    title: 'Änderungen verwerfen?',
    hint: 'Noch ist nichts davon gespeichert.',
    discard: 'Verwerfen'
  },
  shortcuts: {
    use: 'Die Tasten / und ? verwenden',
    useHint: 'Bei Sprachsteuerung besser ausschalten.',
    anywhere: {
      title: 'Überall',
      search: 'Suchen',
      list: 'Diese Liste zeigen',
      undo: 'Das Letzte rückgängig machen, solange seine Meldung da ist',
      close: 'Schließen oder abbrechen'
    },
    inList: {
      title: 'In der Liste der Dateien',
      upDown: 'Nach oben und unten',
      page: 'Eine Seite weiter oder zurück',
      ends: 'Zum Anfang oder Ende',
      row: 'Zwischen den Knöpfen einer Zeile',
      letters: 'Zu einem Namen, der mit dem Getippten beginnt',
      open: 'Öffnen',
      rename: 'Umbenennen',
      menu: 'Menü öffnen',
      remove: 'In den Papierkorb',
      star: 'Zu den Favoriten oder aus ihnen'
    },
    selection: {
      title: 'Auswahl',
      toggle: 'Auswählen oder abwählen',
      extend: 'Mehr oder weniger auswählen',
      all: 'Alle auswählen',
      none: 'Nichts auswählen'
    },
    preview: {
      title: 'In einer Vorschau',
      move: 'Vorige oder nächste Datei',
      zoom: 'Vergrößern und verkleinern',
      pan: 'Vergrößertes Bild bewegen',
      whole: 'Ganzes Bild zeigen',
      details: 'Details des Bilds',
      close: 'Schließen'
    },
    keys: {
      escape: 'Esc',
      pages: 'Bild↑ Bild↓',
      ends: 'Pos1 Ende',
      enter: 'Eingabe',
      menu: 'Menü Umschalt+F10',
      remove: 'Entf',
      space: 'Leertaste',
      extend: 'Umschalt+↑ Umschalt+↓',
      undo: 'Strg+Z',
      all: 'Strg+A'
    }
  },
  timeline: {
    months: 'Monate',
    nothing: {
      title: 'Noch keine Bilder oder Videos',
      hint: 'Bilder und Videos aus diesem Ordner und allen darunter erscheinen hier nach ihrem Aufnahmetag.'
    }
  },
  firstSteps: {
    title: 'Gut zu wissen',
    hide: 'Ausblenden',
    steps: {
      drive: {
        title: 'Ein Laufwerk am Computer',
        hint: 'Die Dateien stehen im Dateimanager neben allen anderen.'
      },
      phone: {
        title: 'Das Telefon',
        hint: 'Dort einen Code scannen und die Seite wie eine App behalten.'
      },
      factor: {
        title: 'Ein zweiter Faktor',
        hint: 'Dann reicht das Passwort allein nicht mehr zum Anmelden.'
      }
    }
  },
  photos: {
    title: 'Fotos hochladen',
    hint: (folder: string) =>
      `Was schon in ${folder === '' ? 'Dateien' : visible(folder)} oder darunter liegt, wird nicht neu hochgeladen.`,
    byMonth: 'In Ordner nach Monaten legen, zum Beispiel Camera/2026/11',
    choose: 'Fotos und Videos auswählen',
    comparing: (done: number, all: number) => `Vergleich: ${number(done)} von ${number(all)} …`,
    sent: (count: number) => plural(count, { one: '# hochgeladen.', other: '# hochgeladen.' }),
    left: (count: number) => plural(count, { one: '# ist unterwegs.', other: '# sind unterwegs.' }),
    there: (count: number) => plural(count, { one: '# war schon da.', other: '# waren schon da.' })
  },
  offline: {
    title: 'Keine Verbindung.',
    hint: 'Die Listen zeigen den letzten Stand auf diesem Gerät. Neue Dateien bleiben hier und werden ' +
      'später hochgeladen.',
    notKept: (name: string) =>
      `Der Browser hat keinen Platz, um ${visible(name)} aufzuheben. ` +
      'Bitte die Seite offen lassen, bis die Datei hochgeladen ist.',
    leave: {
      title: 'Einige Dateien sind noch nicht hochgeladen',
      text: (count: number) => `${plural(count, { one: '# Datei wartet', other: '# Dateien warten' })} noch. ` +
        'Beim Abmelden vergisst dieser Browser, was wartet.'
    }
  },
  pictures: {
    notShown: (ending: string) =>
      `Dieser Browser kann ${ending}-Dateien nicht anzeigen. Herunterladen, um sie zu sehen.`
  },
  viewer: {
    details: 'Details',
    taken: 'Aufgenommen',
    camera: 'Kamera',
    place: 'Ort',
    cutTable: 'Nur die ersten Zeilen und Spalten. Herunterladen, um alles zu sehen.'
  },
  editor: {
    edit: 'Bearbeiten',
    save: 'Speichern',
    label: (name: string) => `Text von ${name}`,
    saved: (name: string) => `Gespeichert: ${visible(name)}`,
    notText: 'Das ist kein Text in UTF-8 und lässt sich hier nicht ändern.',
    conflict: 'Die Datei wurde inzwischen geändert',
    conflictHint: 'Der Text hier ersetzt den jetzigen Inhalt. Der bleibt als Version, wenn der Server ' +
      'Versionen aufhebt.',
    replace: 'Ersetzen',
    name: 'Name der Datei',
    offered: 'Text.txt',
    submit: 'Anlegen'
  }
})
