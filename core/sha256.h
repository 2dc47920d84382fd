#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

struct evp_md_ctx_st; // OpenSSL's EVP_MD_CTX

namespace quern {

// SHA-256 (FIPS 180-4) of bytes that come piece by piece; OpenSSL's.
class Sha256 {
public:
    Sha256();
    void add(std::span<const std::byte> bytes);
    std::string hexadecimal() const; // of what has been added so far

private:
    std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> m_context;
};

} // namespace quern
