package match

import "strings"

// nicknames: one line for the names that are used for one another, in English above all. A name may stand on several lines;
// two names go together when they share one.
const nicknames = `
abigail abby gail
albert al bert bertie
alexander alex alec sandy xander sasha
alexandra alex sandra sandy alexa lexi sasha
alfred alf alfie fred
alice ali alison
amanda mandy
andrew andy drew andreas
angela angie
anne ann anna annie hannah nancy
anthony antony tony anton
archibald archie
arthur art artie
barbara barb babs barbie
benjamin ben benny benji
bernard bernie
bradley brad
bridget bridie
cameron cam
caroline carol carrie caro
catherine katherine kathryn catharine kathleen kate katie cathy kathy kat cat kit kitty katharine
charles charlie chuck chas
charlotte charlie lottie lotte
christine christina chris chrissie tina
christopher chris kit topher
clarence clary
cynthia cindy
daniel dan danny
danielle dani
david dave davey davie
deborah debra debbie deb
dennis denny
donald don donnie
dorothy dot dottie dolly
douglas doug
edmund ed eddie ned ted
edward ed eddie ned ted teddy
eleanor ellie nell nora elle
elizabeth elisabeth liz lizzie beth betty eliza elsie betsy bess libby lisa
ellen nell ellie helen
emily em emmy
emma em emmy
ernest ernie
esther essie
eugene gene
evelyn eve evie
florence flo florrie
frances fran frannie fanny
francis frank fran
franklin frank
frederick fred freddie freddy frederic
gabriel gabe
gabrielle gabby
geoffrey geoff jeff jeffrey
george georgie
georgina georgia georgie gina
gerald gerry jerry
gilbert gil bert
gregory greg
gwendolen gwen
harold harry hal
harriet harry hattie
harrison harry
harvey harv
heather hettie
henrietta hettie etta
henry harry hank hal
herbert herb bert
hugh hughie hugo
isaac ike
isabella isabel isabelle izzy bella belle
jacob jake jack
jacqueline jackie jacqui
james jim jimmy jamie jem
jane janie jan jenny
janet jan
jasmine jas jaz
jennifer jen jenny jenn
jeremy jerry jem
jessica jess jessie
joan joanie
joanne joanna jo
john jack johnny jon
jonathan jon jonny johnny john
joseph joe joey
josephine jo josie
joshua josh
judith judy jude
julia julie jules
kenneth ken kenny
kimberly kim kimberley
laura laurie
lawrence laurence larry laurie
leonard len lenny leo
leslie les
lewis louis lou lew
lillian lily lil
louise lou
lucas luke luca
lucinda lucy cindy
madeleine maddie madeline maddy
margaret maggie meg peggy marge margie greta rita daisy
maria marie mary
martha marty mattie
martin marty
mary molly polly mamie
marsha marcia
matilda tilly mattie
matthew matt mathew matty
maurice morris
maximilian max
megan meg
melanie mel
melissa mel lissa missy
michael mike mick mickey micky mikey
michelle shelly
mildred millie
mitchell mitch
mohammed muhammad mohamed mohammad mo
natalie nat
nathaniel nathan nate nat
nicholas nick nicky nicolas
nicola nicky nikki
nicole nicky nikki
oliver ollie olly
olivia liv livvy
oscar ozzie
pamela pam
patricia pat patsy patty trish tricia
patrick pat paddy
penelope penny
peter pete
philip phillip phil pip
philippa pippa pip
phoebe phebe
priscilla cilla
rachel rachael rae
ralph rafe
raymond ray
rebecca becky becca
reginald reg reggie
richard rick dick richie rich ricky
robert rob bob bobby robbie bert robin
roberta bobbie
roderick rod roddy
rodney rod
ronald ron ronnie
rosemary rose rosie
roseanne rose roxy
rosa rose rosie
rupert bert
samantha sam sammy
samuel sam sammy
sarah sara sally sadie
scarlett scarlet
sebastian seb bastian
sidney sid
simon si
sophia sophie sofia soph
stanley stan
stephanie steph
stephen steven steve stevie
summer sumi
susan sue susie suzanne suzie susanna
sylvia sylvie
terence terry
teresa theresa terry tess tessa
theodore theo ted teddy
thomas tom tommy
timothy tim timmy
toby tobias
valerie val
vernon vern
veronica ronnie vera
victor vic
victoria vicky vicki tori vic
vincent vince vinny
violet vi
virginia ginny ginger
walter walt wally
wilfred wilf fred
william will bill billy willie liam willy
winifred winnie freda
zachary zach zack zac zak
zoe zoey
`

// nicknameTable says which lines a name stands on.
type nicknameTable map[string][]int

func newNicknames() nicknameTable {
	t := nicknameTable{}
	line := 0
	for l := range strings.Lines(nicknames) {
		for _, name := range strings.Fields(l) {
			t[name] = append(t[name], line)
		}
		line++
	}
	return t
}

// same says whether one of the names may stand for the other.
func (t nicknameTable) same(a, b string) bool {
	for _, x := range t[a] {
		for _, y := range t[b] {
			if x == y {
				return true
			}
		}
	}
	return false
}
