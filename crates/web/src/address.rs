//! Addresses in bodies: users keep them, orders send to them, the shape is one.
use crate::{Fields, Pointer, reason};
use kernel::Address;
use serde::{Deserialize, Serialize};

/// A postal address.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Address)]
pub struct AddressBody {
    #[schema(max_length = 200)]
    name: String,
    #[schema(max_length = 200)]
    line1: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    line2: Option<String>,
    #[schema(max_length = 200)]
    city: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 20)]
    postal_code: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[schema(pattern = "^[A-Z]{2}$")]
    country: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40)]
    phone: Option<String>,
}

const LINE: usize = 200;

impl AddressBody {
    /// Checked; complaints go to `fields`.
    pub fn read(&self, fields: &mut Fields, at: &Pointer) -> Option<Address> {
        let mut optional = |name: &str, text: &Option<String>, max| {
            text.as_deref().filter(|t| !t.trim().is_empty()).map(|text| fields.text(&at.at(name), text, 1, max))
        };
        let line2 = optional("line2", &self.line2, LINE);
        let region = optional("region", &self.region, LINE);
        let postal_code = optional("postal_code", &self.postal_code, 20);
        let phone = optional("phone", &self.phone, 40);
        let name = fields.text(&at.at("name"), &self.name, 1, LINE);
        let line1 = fields.text(&at.at("line1"), &self.line1, 1, LINE);
        let city = fields.text(&at.at("city"), &self.city, 1, LINE);
        if self.country.len() != 2 || rust_iso3166::from_alpha2(&self.country).is_none() {
            fields.refuse(&at.at("country"), reason::FORMAT, "not an ISO 3166-1 code of two capitals, such as DE");
            return None;
        }
        Some(Address {
            name: name?,
            line1: line1?,
            line2: line2.transposed()?,
            city: city?,
            region: region.transposed()?,
            postal_code: postal_code.transposed()?,
            country: self.country.clone(),
            phone: phone.transposed()?,
        })
    }
}

impl From<Address> for AddressBody {
    fn from(address: Address) -> Self {
        let Address { name, line1, line2, city, region, postal_code, country, phone } = address;
        Self { name, line1, line2, city, region, postal_code, country, phone }
    }
}

/// What was given and refused spoils the whole; what was not given does not.
trait Transposed<T> {
    fn transposed(self) -> Option<Option<T>>;
}
impl<T> Transposed<T> for Option<Option<T>> {
    fn transposed(self) -> Option<Option<T>> {
        match self {
            None => Some(None),
            Some(None) => None,
            Some(value) => Some(value),
        }
    }
}
