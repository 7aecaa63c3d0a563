package match

import (
	"slices"
	"strings"
)

// Kind is what a column holds: it decides how values are brought to one form and how two of them are compared.
type Kind uint8

// The kinds of column.
const (
	Ignored Kind = iota
	ID           // the record's own key: reported, never compared
	GivenName
	FamilyName
	FullName // becomes a given and a family name
	Date     // of birth
	Email
	Phone
	Postcode
	Place    // a city, a state, a country
	Address  // a street, with or without the house number
	Number   // a house number
	Code     // a number that one person has: social security, passport, membership
	Category // one of a few words: sex, title, status
	Text     // anything else
)

var kindNames = [...]string{"ignore", "id", "given_name", "family_name", "full_name", "date", "email", "phone", "postcode",
	"place", "address", "number", "code", "category", "text"}

func (k Kind) String() string { return kindNames[k] }

// KindNames are the words for the kinds.
func KindNames() []string { return kindNames[:] }

// ParseKind reads the word for a kind.
func ParseKind(s string) (Kind, bool) {
	i := slices.Index(kindNames[:], s)
	return Kind(max(i, 0)), i >= 0
}

// headers are the names that columns usually have, simplified by plainHeader. What is not here is ignored unless
// its content speaks for itself: a column may well hold the very answer, or a note of the weather.
var headers = map[Kind][]string{
	ID: {"id", "uniqueid", "recid", "recordid", "rowid", "rownumber", "crmid", "customerid", "customernumber", "customerno", "contactid",
		"personid", "userid", "clientid", "memberid", "key"},
	GivenName:  {"givenname", "firstname", "forename", "fname", "first", "given", "vorname", "prenom", "nombre"},
	FamilyName: {"familyname", "lastname", "surname", "lname", "last", "family", "nachname", "nom", "apellido"},
	FullName:   {"name", "fullname", "displayname", "customername", "contactname", "personname"},
	Date:       {"dob", "birthdate", "dateofbirth", "birthday", "born", "bday", "geburtsdatum", "dateofbirthiso"},
	Email:      {"email", "emailaddress", "mail", "mailaddress"},
	Phone:      {"phone", "phonenumber", "telephone", "tel", "mobile", "mobilephone", "cell", "cellphone", "msisdn", "homephone", "workphone", "telefon"},
	Postcode:   {"postcode", "postalcode", "zip", "zipcode", "plz", "postcodefake"},
	Place: {"city", "town", "suburb", "locality", "village", "state", "county", "province", "region", "country", "birthplace", "placeofbirth",
		"stateprovince", "ort", "district"},
	Address: {"address", "street", "streetaddress", "address1", "address2", "addressline1", "addressline2", "addr", "street1", "street2", "streetname", "strasse"},
	Number:  {"streetnumber", "housenumber", "houseno"},
	Code: {"socsecid", "ssn", "socialsecuritynumber", "nationalid", "passport", "passportnumber", "nino",
		"loyaltyid", "loyaltynumber", "cardnumber", "taxid", "accountnumber"},
	Category: {"gender", "sex", "title", "salutation", "maritalstatus", "language"},
	Text:     {"occupation", "company", "employer", "organisation", "organization", "middlename", "jobtitle"},
}

// plainHeader drops what writers of headers disagree on.
func plainHeader(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, s)
}

func headerKind(column string) Kind {
	plain := plainHeader(column)
	for k := ID; k <= Text; k++ {
		if slices.Contains(headers[k], plain) {
			return k
		}
	}
	return Ignored
}

// Detect guesses the kinds of columns from their names and a sample of rows. Given and family names win over a full name,
// only one column is the id, and an unknown column counts only when nearly all it holds are e-mail addresses.
func Detect(columns []string, sample [][]string) []Kind {
	kinds := make([]Kind, len(columns))
	has := map[Kind]bool{}
	for i, c := range columns {
		k := headerKind(c)
		if k == Ignored && holdsEmails(sample, i) {
			k = Email
		}
		if k == ID && has[ID] {
			k = Ignored
		}
		kinds[i], has[k] = k, true
	}
	for i := range kinds {
		if kinds[i] == FullName && has[GivenName] && has[FamilyName] {
			kinds[i] = Ignored
		}
	}
	return kinds
}

func holdsEmails(sample [][]string, column int) bool {
	filled, mails := 0, 0
	for _, row := range sample {
		if column >= len(row) || strings.TrimSpace(row[column]) == "" {
			continue
		}
		filled++
		if at := strings.IndexByte(row[column], '@'); at > 0 && strings.Contains(row[column][at:], ".") {
			mails++
		}
	}
	return filled > 0 && mails*10 >= filled*9
}
