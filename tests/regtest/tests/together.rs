//! Chain, Esplora and operator as one, several times side by side.

use regtest::Regtest;
use regtest::operator::wire::GetInfoRequest;
use regtest::operator::wire::ark_service_client::ArkServiceClient;
use regtest::operator::{Settings, Unit};

/// The dust limit that the operator tells, or why it does not answer.
async fn ask(url: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let mut client = ArkServiceClient::connect(url.to_owned()).await?;
    let info = client.get_info(GetInfoRequest {}).await?.into_inner();
    Ok(info.dust as u64)
}

#[tokio::test]
async fn an_operator_stops_and_goes_on_in_the_same_place() -> Result<(), Box<dyn std::error::Error>> {
    let regtest = Regtest::builder().unit(Unit::Seconds).change(|settings| settings.dust = 400).start().await?;
    let url = regtest.operator_url();
    assert_eq!(ask(url).await?, 400);
    regtest.stop_operator().await;
    regtest.stop_operator().await;
    assert!(ask(url).await.is_err());
    regtest.start_operator().await?;
    assert_eq!(ask(url).await?, 400);
    regtest.operator().await.change(|settings| settings.dust = 500);
    for (call, runs) in [("stop", false), ("start", true)] {
        let request = bitreq::post(format!("{}/operator/{call}", regtest.admin_url())).with_timeout(10);
        assert_eq!(request.send_async().await?.as_str()?, format!(r#"{{"running":{runs}}}"#));
        assert_eq!(ask(url).await.is_ok(), runs);
    }
    assert_eq!(ask(url).await?, 500);
    Ok(())
}

#[tokio::test]
async fn faults_over_http() -> Result<(), Box<dyn std::error::Error>> {
    let regtest = Regtest::start(Unit::Seconds).await?;
    let wish = async |path: &str| {
        let request = bitreq::post(format!("{}/{path}", regtest.admin_url())).with_timeout(10);
        request.send_async().await.map(|answer| answer.status_code)
    };
    assert_eq!(wish("fault/GetInfo/refuse?code=VTXO_BANNED&times=2").await?, 200);
    for well in [false, false, true] {
        assert_eq!(ask(regtest.operator_url()).await.is_ok(), well);
    }
    wish("fault/GetInfo/drop").await?;
    wish("clear").await?;
    assert!(ask(regtest.operator_url()).await.is_ok());
    assert_eq!(wish("set/checkpoint-delay/1024").await?, 200);
    assert_eq!(regtest.operator().await.settings().checkpoint_delay, 1_024);
    for wrong in ["fault/GetInfo/refuse", "fault/Nothing/drop", "set/dust/1", "claim/ab/0/spent"] {
        assert_eq!(wish(wrong).await?, 400, "{wrong}");
    }
    Ok(())
}

#[tokio::test]
async fn several_stand_side_by_side() -> Result<(), Box<dyn std::error::Error>> {
    let blocks = Regtest::builder();
    let seconds = Regtest::builder().settings(Settings::for_unit(Unit::Seconds));
    let (a, b) = tokio::try_join!(blocks.start(), seconds.start())?;
    assert_ne!(a.operator_url(), b.operator_url());
    assert_ne!(a.esplora_url(), b.esplora_url());
    a.stop_operator().await;
    assert!(ask(a.operator_url()).await.is_err());
    assert_eq!(ask(b.operator_url()).await?, 330);
    let height = b.node().tip().await?.height;
    a.node().generate(3).await?;
    assert_eq!(b.node().tip().await?.height, height);
    Ok(())
}
