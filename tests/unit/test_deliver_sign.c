/* deliver_sign.c: keys and signatures, against the vectors of RFC 8032 and RFC 8037. */
#include "deliver/deliver_sign.h"

#include <string.h>

#include "base/buf.h"
#include "unit.h"

/* RFC 8032 section 7.1, test 1; the key of RFC 8037 appendix A too */
static const unsigned char seed[WEBHOOK_KEY_BYTES] = {
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
    0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};

#define KID "ds_kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"

static struct webhook_key known_key(void)
{
    struct webhook_key key = {0};

    memcpy(key.seed, seed, sizeof seed);
    ck_assert(sign_complete_key(&key));
    return key;
}

static char *sign(const char *text, size_t len)
{
    struct webhook_key key = known_key();
    struct signer *signer = signer_new(&key);
    struct buf value = {0};

    ck_assert_ptr_nonnull(signer);
    ck_assert_str_eq(signer_kid(signer), key.kid);
    ck_assert(sign_text(signer, 1795836706, text, len, &value));
    buf_addc(&value, '\0');
    ck_assert(!buf_failed(&value));
    signer_free(signer);
    return value.data;
}

START_TEST(derives_the_public_key_from_the_seed)
{
    ck_assert_str_eq(known_key().x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
}
END_TEST

/* RFC 8037 appendix A.3 */
START_TEST(names_a_key_by_its_thumbprint)
{
    ck_assert_str_eq(known_key().kid, KID);
}
END_TEST

/* RFC 8037 appendix A.4 */
START_TEST(signs_as_the_standard_does)
{
    static const char text[] = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    char *value = sign(text, sizeof text - 1);

    ck_assert_str_eq(value,
                     "t=1795836706,kid=" KID ",ed25519=hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3A"
                     "IbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
    free(value);
}
END_TEST

/* RFC 8032 section 7.1, test 1: the signature of nothing */
START_TEST(signs_an_empty_text)
{
    char *value = sign("", 0);

    ck_assert_str_eq(strstr(value, ",ed25519="),
                     ",ed25519=5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkK"
                     "M7rMYeOXAc-bRr0lv18FlbviRlUUFDjnoQCw");
    free(value);
}
END_TEST

START_TEST(makes_a_new_key_each_time)
{
    struct webhook_key one = {0}, two = {0};

    ck_assert(sign_make_key(&one));
    ck_assert(sign_make_key(&two));
    ck_assert_str_ne(one.x, two.x);
    ck_assert_str_ne(one.kid, two.kid);
    ck_assert_mem_ne(one.seed, two.seed, sizeof one.seed);
    ck_assert_uint_eq(strlen(one.x), 43);
    ck_assert_uint_eq(strlen(one.kid), 46);
}
END_TEST

UNIT_MAIN(deliver_sign, derives_the_public_key_from_the_seed, names_a_key_by_its_thumbprint,
          signs_as_the_standard_does, signs_an_empty_text, makes_a_new_key_each_time)
