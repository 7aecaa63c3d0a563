package recipe

import "strings"

// The Segment spec, as far as its fields and event names are concerned: what a recipe may read without
// declaring it. Source: the published Segment spec (common, e-commerce v2, mobile, consent). One line a type.

// callTypes are the calls that are no named events. Their type is their name.
var callTypes = []string{"alias", "group", "identify", "page", "screen"}

var specEvents = []string{
	// browsing
	"Products Searched", "Product List Viewed", "Product List Filtered", "Promotion Viewed", "Promotion Clicked",
	"Product Clicked", "Product Viewed",
	// ordering
	"Product Added", "Product Removed", "Cart Viewed", "Checkout Started", "Checkout Step Viewed",
	"Checkout Step Completed", "Payment Info Entered", "Order Started", "Order Completed", "Order Updated", "Order Refunded", "Order Cancelled",
	// coupons, wishlists, sharing, reviews
	"Coupon Entered", "Coupon Applied", "Coupon Denied", "Coupon Removed",
	"Product Added to Wishlist", "Product Removed from Wishlist", "Wishlist Product Added to Cart",
	"Product Shared", "Cart Shared", "Product Reviewed",
	// mobile
	"Application Installed", "Application Opened", "Application Backgrounded", "Application Foregrounded", "Application Updated",
	"Application Uninstalled", "Application Crashed", "Push Notification Received", "Push Notification Tapped", "Push Notification Bounced",
	"Install Attributed", "Deep Link Clicked", "Deep Link Opened",
	// e-mail
	"Email Delivered", "Email Opened", "Email Link Clicked", "Email Bounced", "Email Marked as Spam", "Unsubscribed",
	// B2B
	"Account Created", "Account Deleted", "Signed Up", "Signed In", "Signed Out", "Invite Sent", "Trial Started", "Trial Ended",
	"Account Added User", "Account Removed User",
	// live chat
	"Live Chat Conversation Started", "Live Chat Message Sent", "Live Chat Message Received", "Live Chat Conversation Ended",
	// consent
	"Segment Consent Preference Updated",
}

// product are the properties of one product, in an event about it and in lists of products.
const product = `
product_id sku category name brand variant coupon url image_url currency: string
price quantity position value: number`

const traits = `
email phone firstName lastName name username gender title avatar description website plan id
company.name company.id company.industry company.plan address.street address.city address.state address.postalCode address.country
loyalty_level loyalty_id favorite_store crm_id industry: string
age employees company.employee_count: number
birthday createdAt: time
email_opt_in push_opt_in sms_opt_in: bool`

const specFields = `
userId anonymousId messageId groupId previousId channel name category: string

properties.order_id properties.checkout_id properties.cart_id properties.affiliation properties.query
properties.list_id properties.promotion_id properties.creative properties.coupon_id properties.coupon_name properties.reason
properties.wishlist_id properties.wishlist_name properties.share_via properties.share_message properties.recipient
properties.review_id properties.review_body properties.shipping_method properties.payment_method
properties.store properties.store_id properties.store_name properties.email properties.phone properties.discount_type
properties.path properties.referrer properties.search properties.title properties.keywords[]
properties.campaign_id properties.campaign_name properties.link_url properties.email_id properties.email_subject properties.list_name
properties.plan properties.trial_plan_name properties.role properties.account_name properties.method properties.tags[]
properties.version properties.build properties.device_id properties.session_id properties.loyalty_level properties.loyalty_id
properties.filters[].type properties.filters[].value properties.sorts[].type properties.sorts[].value: string
properties.total properties.subtotal properties.revenue properties.shipping properties.tax properties.discount properties.step
properties.rating properties.results properties.duration: number
properties.from_background: bool
properties.trial_start_date properties.trial_end_date: time

context.ip context.locale context.timezone context.userAgent context.groupId
context.page.path context.page.referrer context.page.search context.page.title context.page.url
context.campaign.name context.campaign.source context.campaign.medium context.campaign.term context.campaign.content context.campaign.id
context.device.id context.device.advertisingId context.device.manufacturer context.device.model context.device.name context.device.type context.device.version
context.os.name context.os.version context.app.name context.app.version context.app.build context.app.namespace
context.library.name context.library.version context.network.carrier context.location.city context.location.country
context.location.region context.referrer.id context.referrer.type: string
context.screen.width context.screen.height context.screen.density context.location.latitude context.location.longitude context.location.speed: number
context.active context.device.adTrackingEnabled context.network.bluetooth context.network.cellular context.network.wifi: bool`

// consentPath is where the Segment spec keeps consent: one boolean for each category, whose names are the customer's.
const consentPath = "context.consent.categoryPreferences."

// specKinds calls fn with each field of the spec, "path", "type", in the order of the lines above.
func specKinds(fn func(path, kind string)) {
	read := func(prefix, lines string) {
		var paths []string
		for _, w := range strings.Fields(lines) {
			name, last := strings.CutSuffix(w, ":")
			if last {
				paths = append(paths, name)
				continue
			}
			if w == "string" || w == "number" || w == "bool" || w == "time" {
				for _, p := range paths {
					fn(prefix+p, w)
				}
				paths = paths[:0]
				continue
			}
			paths = append(paths, w)
		}
	}
	read("", specFields)
	read("properties.", product)
	read("properties.products[].", product)
	read("traits.", traits)
	read("context.traits.", traits)
}
