import { frame } from './de-frame.ts'
import type { PageTexts } from './en-page.ts'
import type { Tools } from './tools.ts'

/** The texts of the first view of the page of an account, in German. */
export const texts = (tools: Tools<'de'>): PageTexts => {
  const { visible, number, plural } = tools
  const ofBoth = frame(tools)
  return {
    ...ofBoth,
    problems: {
      ...ofBoth.problems,
      validation_failed: 'Eine Eingabe ist ungültig',
      username_taken: 'Der Benutzername ist schon vergeben',
      username_invalid: 'Ungültiger Benutzername',
      password_invalid: 'Ungültiges Passwort',
      credentials_missing: 'Nicht angemeldet',
      credentials_wrong: 'Benutzername oder Passwort falsch',
      second_factor_required: 'Ein Einmalcode ist nötig',
      second_factor_wrong: 'Der Einmalcode ist falsch oder schon benutzt',
      passkey_refused: 'Der Passkey wurde abgelehnt',
      password_required: 'Das Passwort ist nötig',
      token_expired: 'Die Sitzung ist abgelaufen',
      token_revoked: 'Die Sitzung ist beendet',
      tls_required: 'Der Server nimmt Passwörter nur über HTTPS an',
      second_factor_setup_required: 'Zuerst einen zweiten Faktor einrichten',
      registration_closed: 'Hier kann niemand ein Konto anlegen',
      too_many_sign_ins: 'Zu viele fehlgeschlagene Anmeldungen',
      too_many_codes: 'Zu viele falsche Einmalcodes',
      too_many_registrations: 'Aus diesem Netz wurden zu viele Konten angelegt'
    },
    problemHints: {
      ...ofBoth.problemHints,
      username: 'Er hat 1 bis 64 Buchstaben und Ziffern. Zwischen Wörtern darf ein Leerzeichen stehen.',
      password_invalid: 'Es braucht mindestens 8 Zeichen und darf weder häufig noch der Benutzername sein.'
    },
    cancel: 'Abbrechen',
    copy: 'Kopieren',
    copied: 'Kopiert.',
    dismiss: 'Ausblenden',
    breakLock: 'Sperre aufheben',
    breakLockHint: 'Nur, wenn kein anderes Programm gerade daran arbeitet.',
    lockBroken: 'Die Sperre ist aufgehoben. Bitte nochmal versuchen.',
    skipToMain: 'Zum Inhalt springen',
    navigation: 'Seiten',
    views: {
      files: 'Dateien',
      recent: 'Neueste',
      starred: 'Favoriten',
      links: 'Links',
      trash: 'Papierkorb',
      account: 'Konto'
    },
    sign: {
      in: 'Anmelden',
      out: 'Abmelden',
      up: 'Konto anlegen',
      toSignUp: 'Stattdessen ein Konto anlegen',
      toSignIn: 'Stattdessen anmelden',
      username: 'Benutzername',
      password: 'Passwort',
      endedTitle: 'Die Sitzung ist beendet',
      ended: 'Nach dem Anmelden geht es hier weiter. Auf dieser Seite geht nichts verloren.',
      asAnother: 'Mit einem anderen Konto anmelden',
      inWithPasskey: 'Mit einem Passkey anmelden',
      inWith: (provider: string) => `Mit ${provider} anmelden`,
      or: 'Oder mit einem Passwort:',
      upWith: (provider: string) => `Ein neues Konto entsteht beim Anmelden mit ${provider}.`,
      providerKnows: (provider: string) => `Hier abgemeldet. Bei ${provider} kann die Anmeldung noch gelten.`,
      noStorage: 'Der Browser erlaubt keinen Speicher. Ohne den geht es nicht.',
      upHint: 'Benutzername und Passwort frei wählen. Ein vergessenes Passwort kann nur der Betreiber dieses ' +
        'Servers zurücksetzen.',
      closed: 'Nur der Betreiber dieses Servers kann Konten anlegen.',
      welcome: 'Private Dateien: hier hochladen, überall wiederbekommen.'
    },
    files: {
      new: 'Neu',
      newText: 'Neue Textdatei',
      columns: {
        name: 'Name',
        size: 'Größe',
        changed: 'Geändert',
        deleted: 'Gelöscht',
        expires: 'Aufbewahrt bis',
        actions: 'Aktionen'
      },
      orders: {
        natural: 'Name, A bis Z',
        '-natural': 'Name, Z bis A',
        '-changed': 'Neueste zuerst',
        changed: 'Älteste zuerst',
        largest: 'Größte zuerst',
        smallest: 'Kleinste zuerst',
        name: 'Ordner für Ordner'
      },
      order: 'Reihenfolge',
      search: 'Namen suchen …',
      scope: 'Wo gesucht wird',
      scopes: { folder: 'In diesem Ordner', everywhere: 'Überall' },
      inFolder: (path: string) => `In ${path} zeigen`,
      found: (count: number, isAll: boolean) => `${isAll ? number(count) : `Mehr als ${number(count)}`} gefunden.`,
      foundPart: (count: number) =>
        `${number(count)} gefunden, vielleicht gibt es mehr: Eine Suche Ordner für Ordner findet alle.`,
      searchFailed: 'Die Suche ist fehlgeschlagen.',
      star: 'Zu den Favoriten',
      unstar: 'Aus den Favoriten',
      starred: 'Favorit',
      showInFolder: 'Im Ordner zeigen',
      jump: 'A–Z: zu einem Buchstaben springen',
      letters: 'A–Z',
      layout: 'Ansicht',
      layouts: { list: 'Liste', tiles: 'Kacheln', timeline: 'Zeitleiste' },
      newName: (name: string) => `Neuer Name von ${visible(name)}`,
      save: 'Namen speichern',
      menuOf: (name: string) => `Aktionen für ${visible(name)}`,
      open: 'Öffnen',
      download: 'Herunterladen',
      zip: 'Dateien',
      rename: 'Umbenennen',
      versions: 'Versionen',
      remove: 'Löschen',
      restore: 'Wiederherstellen',
      undo: 'Rückgängig',
      view: 'Ansehen',
      copy: 'Kopieren',
      copied: (name: string) => `Kopiert als ${visible(name)}`,
      renamed: (name: string) => `Umbenannt in ${visible(name)}`,
      slash: 'Ein Name kann keinen Schrägstrich (/) enthalten, denn der trennt Ordner. ' +
        'In einen anderen Ordner geht es mit „Verschieben“.',
      notUndone: (why: string) => `Nicht rückgängig gemacht: ${why}`,
      deleted: (name: string) => `Im Papierkorb: ${visible(name)}`,
      deletedForGood: (name: string) => `Endgültig gelöscht: ${visible(name)}`,
      removed: (name: string) => `Gelöscht: ${visible(name)}`,
      restored: (name: string) => `Wiederhergestellt: ${visible(name)}`,
      downloadFailed: (name: string) => `Herunterladen fehlgeschlagen: ${visible(name)}`,
      deleteForGood: 'Endgültig löschen',
      usage: {
        files: (count: number) => plural(count, { one: '# Datei', other: '# Dateien' }),
        folders: (count: number) => plural(count, { one: '# Ordner', other: '# Ordner' })
      }
    },
    selection: {
      label: 'Auswahl',
      of: (name: string) => `${visible(name)} auswählen`,
      all: 'Alle auswählen',
      chosen: (count: number) => `${number(count)} ausgewählt`,
      items: (count: number) => plural(count, { one: '# Element', other: '# Elemente' }),
      end: 'Auswahl beenden',
      stop: 'Anhalten',
      running: {
        remove: 'Löschen',
        move: 'Verschieben',
        copy: 'Kopieren',
        restore: 'Wiederherstellen',
        deleteForGood: 'Endgültig löschen',
        star: 'Favoriten ändern'
      },
      progress: (act: string, done: number, all: number) => `${act}: ${number(done)} von ${number(all)}`,
      deleted: (items: string) => `Im Papierkorb: ${items}`,
      removed: (items: string) => `Gelöscht: ${items}`,
      deletedForGood: (items: string) => `Endgültig gelöscht: ${items}`,
      restored: (items: string) => `Wiederhergestellt: ${items}`,
      moved: (items: string, folder: string) =>
        `Verschoben nach ${folder === '' ? 'Dateien' : visible(folder)}: ${items}`,
      movedBack: (items: string) => `Zurückgeschoben: ${items}`,
      copied: (items: string, folder: string) =>
        `Kopiert nach ${folder === '' ? 'Dateien' : visible(folder)}: ${items}`
    },
    folders: {
      path: 'Pfad des Ordners',
      kind: 'Ordner',
      create: 'Neuer Ordner',
      created: (name: string) => `Ordner angelegt: ${visible(name)}`,
      add: 'Ordner hochladen',
      move: 'Verschieben',
      moved: (name: string, folder: string) =>
        `Verschoben nach ${folder === '' ? 'Dateien' : visible(folder)}: ${visible(name)}`,
      movedBack: (name: string) => `Zurückgeschoben: ${visible(name)}`,
      deleted: (name: string) => `Mit Inhalt im Papierkorb: ${visible(name)}`,
      restored: (count: number) =>
        plural(count, { one: '# Datei wiederhergestellt.', other: '# Dateien wiederhergestellt.' }),
      kept: (count: number) =>
        plural(count, {
          one: '# ließ sich nicht wiederherstellen und blieb im Papierkorb.',
          other: '# ließen sich nicht wiederherstellen und blieben im Papierkorb.'
        })
    },
    details: {
      show: 'Details'
    },
    uploads: {
      photos: 'Fotos hochladen',
      add: 'Dateien hochladen',
      dropHere: 'Zum Hochladen hier loslassen',
      dropInto: (folder: string) => `Zum Hochladen nach ${visible(folder)} hier loslassen`,
      leftOut: (count: number, names: string) =>
        `${plural(count, { one: 'Eine Systemdatei ausgelassen', other: '# Systemdateien ausgelassen' })}: ${names}.`,
      folderUnreadable: (name: string) => `Der Ordner ${visible(name)} war nicht ganz lesbar.`,
      fileUnreadable: 'Die Datei ist nicht mehr lesbar',
      fileUnreadableDetail: 'Sie wurde geändert, verschoben oder gelöscht. Bitte neu auswählen.',
      elsewhere: 'Ein anderes Fenster oder Gerät lädt diese Datei gerade hoch',
      elsewhereDetail: 'Nochmal versuchen, um hier weiterzumachen.',
      ended: 'Ein anderes Fenster oder Gerät hat diesen Upload beendet',
      endedDetail: 'Nochmal versuchen, um die Datei von vorn hochzuladen.',
      nameImpossible: 'So kann eine Datei nicht heißen',
      announced: {
        added: (count: number) => `${number(count)} Dateien werden hochgeladen.`,
        addedOne: (name: string) => `${visible(name)} wird hochgeladen.`,
        stored: (count: number) => `${number(count)} Dateien hochgeladen.`,
        storedOne: (name: string) => `${visible(name)} hochgeladen.`,
        cancelled: (count: number) => `${number(count)} Uploads abgebrochen.`,
        cancelledOne: (name: string) => `Upload von ${visible(name)} abgebrochen.`,
        failed: (count: number) => `${number(count)} Uploads fehlgeschlagen.`,
        failedOne: (name: string, why: string) => `Upload von ${visible(name)} fehlgeschlagen: ${why}.`,
        conflict: (count: number) =>
          `${number(count)} Dateien gibt es schon. In der Liste der Uploads auswählen, was geschehen soll.`,
        conflictOne: (name: string) =>
          `Eine Datei namens ${visible(name)} gibt es schon. In der Liste der Uploads auswählen, was geschehen soll.`,
        resumable: (count: number) =>
          `${number(count)} unfertige Uploads gibt es schon. In der Liste der Uploads auswählen, was geschehen soll.`,
        resumableOne: (name: string) => `Einen unfertigen Upload von ${visible(name)} gibt es schon. ` +
          'In der Liste der Uploads auswählen, was geschehen soll.',
        progress: (percent: string, name: string) => `${percent} von ${visible(name)} hochgeladen.`
      }
    },
    shortcuts: {
      title: 'Tastenkürzel'
    },
    factors: {
      isSetUp: 'Der zweite Faktor ist eingerichtet. Jetzt damit anmelden.',
      noHost: 'Passkeys gehen hier nicht: Die Adresse dieses Servers hat keinen Namen oder kein HTTPS.',
      otherHost: (host: string) => `Passkeys gehen nicht unter dieser Adresse, nur unter ${host}.`,
      noPasskeys: 'Dieser Browser kennt keine Passkeys.',
      passkeyKnown: 'Dieses Gerät hat schon einen Passkey für dieses Konto.',
      passkeyUnused: 'Der Browser hat keinen Passkey benutzt.'
    },
    claimTitles: { invitation: 'Konto anlegen', reset: 'Neues Passwort festlegen' },
    links: {
      of: 'Link …',
      request: 'Dateien anfordern …',
      has: 'mit Link',
      arrived: (count: number, name: string) => {
        const files = plural(count, {
          one: 'Über einen Link angekommen', other: '# Dateien über Links angekommen, zuletzt'
        })
        return `${files}: ${visible(name)}`
      },
      allRevoked: 'Alle Links sind widerrufen.',
      stayAfterPassword: 'Die Links gelten weiter.',
      revokeAllLinks: 'Alle Links widerrufen'
    },
    account: {
      passwordChanged: 'Das Passwort ist geändert. Alle anderen Sitzungen und alle Tokens sind beendet.'
    }
  }
}
