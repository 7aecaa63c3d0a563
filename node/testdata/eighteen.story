# A line is: when | who | what | properties or traits | consent. "again" is the message before it, delivered once more; "wait" lets all
# arrive. Every person's name begins with the number of the recipe that the story is about. It ends on 2 November.
2026-01-01T09:00:00Z | user_id:01 | identify | {"email":"01@example.com"} | {"email":true}
2026-01-02T09:00:00Z | user_id:01 | Order Completed | {"total":40} |
again
2026-01-01T20:00:00Z | user_id:01 | Store Purchase | {"receipt":"A","total":10} |
2026-01-01T09:00:00Z | user_id:02 | identify | {"favourite_store":"Leeds"} | {"personalisation":true}
2026-01-01T10:00:00Z | user_id:02 | Product Viewed | {"product_id":"P1","category":"shoes"} |
2026-01-01T10:01:00Z | user_id:02 | Product Viewed | {"product_id":"P2","category":"shoes"} |
2026-01-01T10:02:00Z | user_id:02 | Product Viewed | {"product_id":"P3","category":"shoes"} |
2026-01-01T10:03:00Z | user_id:02 | Product Viewed | {"product_id":"P4","category":"shoes"} |
2026-01-01T10:04:00Z | user_id:02 | Product Viewed | {"product_id":"P5","category":"shoes"} |
2026-01-01T10:05:00Z | user_id:02 | Product Viewed | {"product_id":"P6","category":"shoes"} |
2026-01-01T10:06:00Z | user_id:02 | Product Viewed | {"product_id":"P7","category":"shoes"} |
2026-01-01T10:07:00Z | user_id:02 | Product Viewed | {"product_id":"P8","category":"shoes"} |
2026-01-01T10:08:00Z | user_id:02 | Product Viewed | {"product_id":"P9","category":"shoes"} |
2026-01-01T10:09:00Z | user_id:02 | Product Viewed | {"product_id":"P9","category":"shoes"} |
2026-01-01T10:20:00Z | user_id:02 | Order Completed | {"total":20,"products":[{"product_id":"P9","category":"shoes","price":20,"quantity":1}]} |
2026-01-01T10:30:00Z | user_id:02 | Store Purchase | {"receipt":"B","store":"Leeds","total":5} |
2026-01-01T09:00:00Z | user_id:03 | identify | {"email":"03@example.com","plan":"annual","contract_ends":"2026-03-01T00:00:00Z"} | {"email":true}
2026-01-02T09:00:00Z | user_id:03 | Ticket Opened | {"ticket_id":"T"} |
2026-01-03T09:00:00Z | user_id:03 | Signed In | {} |
2026-03-10T09:00:00Z | user_id:03 | Signed In | {} |
2026-03-10T09:01:00Z | user_id:03 | Signed In | {} |
2026-03-10T09:02:00Z | user_id:03 | Signed In | {} |
2026-03-10T09:03:00Z | user_id:03 | Signed In | {} |
2026-01-01T09:00:00Z | user_id:04 | identify | {"email":"04@example.com","loyalty_tier":"gold"} | {"email":true,"personalisation":true}
2026-01-01T09:10:00Z | user_id:04 | Store Purchase | {"total":5} |
2026-01-01T09:11:00Z | user_id:04 | Store Purchase | {"total":5} |
2026-01-01T09:12:00Z | user_id:04 | Store Purchase | {"total":5} |
2026-01-01T09:13:00Z | user_id:04 | Product Added | {"product_id":"P1"} |
2026-01-01T09:14:00Z | user_id:04 | Product Added | {"product_id":"P2"} |
2026-01-01T09:00:00Z | user_id:05 | Order Completed | {"total":5} | {"ads":true,"email":true}
2026-01-01T15:00:00Z | user_id:05 | page | {"path":"/"} |
2026-01-01T12:00:00Z | user_id:05 | Store Purchase | {"receipt":"C","total":5} |
2026-01-01T09:00:00Z | phone:+442079460006 | Products Searched | {"query":"red shoes"} |
2026-01-01T09:05:00Z | phone:+442079460006 | Call Started | {} |
2026-01-01T09:10:00Z | phone:+442079460006 | Call Ended | {"outcome":"callback"} |
2026-01-01T09:00:00Z | user_id:07 | Product Viewed | {"product_id":"P41","category":"women's shoes"} | {"location":true,"push":true}
2026-01-01T09:01:00Z | user_id:07 | Product Viewed | {"product_id":"P42","category":"women's shoes"} |
2026-01-01T09:02:00Z | user_id:07 | Product Viewed | {"product_id":"P43","category":"women's shoes"} |
2026-01-01T10:00:00Z | user_id:07 | Store Entered | {"store":"Leeds"} |
2026-01-01T09:00:00Z | user_id:08 | Product Added | {"product_id":"P1"} | {"ads":true}
2026-01-01T17:00:00Z | user_id:08 | page | {"path":"/"} |
2026-01-01T12:00:00Z | user_id:08 | Store Purchase | {"total":9,"products":[{"product_id":"P1"}]} |
2026-01-01T09:00:00Z | user_id:09 | Order Completed | {"total":2500,"products":[{"product_id":"P1"}]} | {"ads":true}
again
2026-01-02T09:00:00Z | user_id:09 | Order Refunded | {"total":500} |
2026-01-01T09:00:00Z | user_id:10 | Product Viewed | {"product_id":"P1"} | {"ads":true}
2026-01-01T18:00:00Z | user_id:10 | page | {"path":"/"} |
2026-01-01T14:00:00Z | user_id:10 | Store Purchase | {"total":9,"products":[{"product_id":"P1"}]} |
2026-01-01T09:00:00Z | user_id:11 | Order Completed | {"total":9,"coupon":"SPRING"} | {"ads":true}
2026-01-01T09:00:00Z | user_id:12 | Order Completed | {"total":1500} | {"email":true,"personalisation":true}
2026-01-01T09:01:00Z | user_id:12 | Store Purchase | {"total":1} |
2026-01-01T09:02:00Z | user_id:12 | Store Purchase | {"total":1} |
2026-01-01T10:00:00Z | user_id:12 | Product Added | {"product_id":"P1"} |
2026-01-01T10:01:00Z | user_id:12 | Product Added | {"product_id":"P1"} |
2026-01-01T10:02:00Z | user_id:12 | Product Viewed | {"product_id":"P1"} |
2026-01-01T10:03:00Z | user_id:12 | Product Viewed | {"product_id":"P1"} |
2026-01-01T10:04:00Z | user_id:12 | Product Viewed | {"product_id":"P1"} |
2026-01-01T09:00:00Z | user_id:13 | Order Completed | {"total":400} | {"email":true}
2026-01-01T10:00:00Z | user_id:13 | Product Added | {"product_id":"P1"} |
2026-01-01T09:00:00Z | user_id:14 | Order Completed | {"total":1500} |
2026-01-01T20:00:00Z | user_id:14 | page | {"path":"/"} |
2026-01-01T15:00:00Z | user_id:14 | Store Purchase | {"total":600} |
2026-01-01T09:00:00Z | user_id:15 | identify | {"email":"15@example.com"} | {"email":true}
2026-01-03T09:00:00Z | user_id:15 | Segment Consent Preference Updated | {"source":"account"} | {"email":false}
2026-01-01T09:00:00Z | user_id:16 | identify | {"email":"16@acme.example"} | {"email":true}
2026-01-01T09:00:00Z | user_id:16 | Trial Started | {} |
2026-01-01T09:00:00Z | user_id:16,account:acme | group | {"name":"Acme"} |
2026-01-01T09:00:00Z | user_id:16 | Signed In | {} |
2026-01-01T09:00:00Z | user_id:17 | Subscription Started | {"status":"customer"} | {"email":true}
2026-01-09T09:00:00Z | user_id:17 | Signed In | {} |
2026-01-09T10:00:00Z | user_id:17 | Project Created | {} |
2026-01-09T11:00:00Z | user_id:17 | Invite Sent | {} |
2026-01-01T09:00:00Z | user_id:17,account:initech | group | {"name":"Initech"} |
2026-01-01T09:00:00Z | user_id:17b,account:initech | group | {"name":"Initech"} |
2026-01-10T09:00:00Z | user_id:17b | Signed In | {} |
2026-01-10T10:00:00Z | user_id:17b | Project Created | {} |
2026-01-10T11:00:00Z | user_id:17b | Invite Sent | {} |
2026-01-01T09:00:00Z | user_id:18 | Order Completed | {"total":900,"products":[{"product_id":"P1"}]} | {"email":true}
2026-01-02T09:00:00Z | user_id:18 | Content Viewed | {"topic":"reports"} |
2026-01-03T09:00:00Z | user_id:18 | Content Viewed | {"topic":"reports"} |
2026-01-01T09:00:00Z | user_id:18,account:umbrella | group | {"name":"Umbrella"} |
2026-01-01T09:00:00Z | user_id:18b,account:umbrella | group | {"name":"Umbrella"} |
2026-01-01T09:00:00Z | user_id:18b | Store Purchase | {"total":1,"products":[{"product_id":"P1"}]} |
2026-01-04T09:00:00Z | user_id:18b | Content Viewed | {"topic":"reports"} |
2026-01-05T09:00:00Z | user_id:18b | Content Viewed | {"topic":"reports"} |
# Two identifiers turn out to be one person: each bought once, and the person bought twice.
2026-01-01T09:00:00Z | user_id:merged | Order Completed | {"total":10} |
2026-01-01T10:00:00Z | anonymous_id:merged | Store Purchase | {"total":20} |
wait
2026-01-02T09:00:00Z | user_id:merged,anonymous_id:merged | Signed In | {} |
